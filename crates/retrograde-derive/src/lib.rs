//! Derives `Tree` for structs of parameters.
#![forbid(unsafe_code)]

use proc_macro::TokenStream;
use quote::{format_ident, quote};
use syn::{
    Data, DeriveInput, Fields, GenericArgument, GenericParam, Ident, PathArguments, Type, parse_macro_input,
    spanned::Spanned,
};

/// Makes a struct with one type parameter `T` a tree of leaves of type `T`.
///
/// Fields whose type mentions the parameter are sub-trees (`T`, `Vec<Linear<T>>`, `[T; 3]`, `Option<T>`, tuples). All
/// others are fixed parts of the structure and must be `Clone + Debug`. The leaf order is the order of the fields.
#[proc_macro_derive(Tree)]
pub fn derive_tree(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(|e| e.to_compile_error()).into()
}

fn expand(input: &DeriveInput) -> syn::Result<proc_macro2::TokenStream> {
    let name = &input.ident;
    let Data::Struct(data) = &input.data else {
        return Err(syn::Error::new(
            input.span(),
            "found an enum or union, expected a struct: only structs are trees",
        ));
    };
    let parameters: Vec<&Ident> = input
        .generics
        .params
        .iter()
        .filter_map(|p| if let GenericParam::Type(t) = p { Some(&t.ident) } else { None })
        .collect();
    let ([leaf], 1) = (&parameters[..], input.generics.params.len()) else {
        return Err(syn::Error::new(
            input.generics.span(),
            "expected exactly one type parameter, the leaf: `struct Linear<T> { weight: T, bias: T }`",
        ));
    };
    let accessors: Vec<proc_macro2::TokenStream> = (0..data.fields.len())
        .zip(&data.fields)
        .map(|(i, f)| {
            f.ident.as_ref().map_or_else(
                || {
                    let i = syn::Index::from(i);
                    quote!(#i)
                },
                |id| quote!(#id),
            )
        })
        .collect();
    let mut mapped = vec![];
    let mut visited = vec![];
    let mut walked = vec![];
    for (field, access) in data.fields.iter().zip(&accessors) {
        let path = access.to_string();
        if mentions(&field.ty, leaf) {
            mapped.push(map_field(&field.ty, leaf, quote!((&self.#access))));
            visited.push(quote!(::retrograde::tree::Tree::visit(&self.#access, &::retrograde::tree::join(path, #path), f);));
            walked.push(quote!(::retrograde::tree::Tree::walk(&self.#access, f);));
        } else {
            mapped.push(quote!(::core::clone::Clone::clone(&self.#access)));
            walked.push(quote!(f(::retrograde::tree::Part::Fixed(&self.#access));));
            visited.push(quote!(f(
                &::retrograde::tree::join(path, #path),
                ::retrograde::tree::Visit::Fixed(format!("{:?}", self.#access)),
            );));
        }
    }
    let build = match &data.fields {
        Fields::Named(_) => {
            let names = data.fields.iter().map(|f| f.ident.as_ref());
            quote!(#name { #(#names: #mapped),* })
        }
        _ => quote!(#name(#(#mapped),*)),
    };
    let other = format_ident!("__Other");
    Ok(quote! {
        impl<#leaf: ::retrograde::tree::Leaf> ::retrograde::tree::Tree for #name<#leaf> {
            type Leaf = #leaf;
            type With<#other: ::retrograde::tree::Leaf> = #name<#other>;
            fn map<#other: ::retrograde::tree::Leaf>(&self, f: &mut dyn FnMut(&#leaf) -> #other) -> #name<#other> {
                #build
            }
            fn visit(&self, path: &str, f: &mut dyn FnMut(&str, ::retrograde::tree::Visit<'_, #leaf>)) {
                #(#visited)*
            }
            fn walk(&self, f: &mut dyn FnMut(::retrograde::tree::Part<'_, #leaf>)) {
                #(#walked)*
            }
        }
    })
}

/// A field, given by reference, with `f` of every leaf. Containers are taken apart here down to the leaf itself: that
/// `T::With<U>` is `U` for a leaf `T` is beyond what the type system can be told.
fn map_field(ty: &Type, leaf: &Ident, field: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    if !mentions(ty, leaf) {
        return quote!(::core::clone::Clone::clone(#field));
    }
    match ty {
        Type::Path(path) if path.path.is_ident(leaf) => return quote!(f(#field)),
        Type::Path(path) => {
            let last = path.path.segments.last();
            let arguments: Vec<&Type> = match last.map(|segment| &segment.arguments) {
                Some(PathArguments::AngleBracketed(list)) => list
                    .args
                    .iter()
                    .filter_map(|a| if let GenericArgument::Type(t) = a { Some(t) } else { None })
                    .collect(),
                _ => vec![],
            };
            let name = last.map(|segment| segment.ident.to_string()).unwrap_or_default();
            match (name.as_str(), &arguments[..]) {
                ("Vec", [item]) => {
                    let item = map_field(item, leaf, quote!(item));
                    return quote!(#field.iter().map(|item| #item).collect());
                }
                ("Option", [item]) => {
                    let item = map_field(item, leaf, quote!(item));
                    return quote!(#field.as_ref().map(|item| #item));
                }
                ("BTreeMap", [_, item]) => {
                    let item = map_field(item, leaf, quote!(item));
                    return quote!(#field.iter().map(|(key, item)| (::core::clone::Clone::clone(key), #item)).collect());
                }
                _ => {}
            }
        }
        Type::Array(array) => {
            let item = map_field(&array.elem, leaf, quote!((&row[i])));
            return quote!({ let row = #field; ::core::array::from_fn(|i| #item) });
        }
        Type::Tuple(tuple) => {
            let items = tuple.elems.iter().enumerate().map(|(i, item)| {
                let i = syn::Index::from(i);
                map_field(item, leaf, quote!((&#field.#i)))
            });
            return quote!((#(#items,)*));
        }
        _ => {}
    }
    quote!(::retrograde::tree::Tree::map(#field, f))
}

/// Whether a type mentions the leaf parameter.
fn mentions(ty: &Type, leaf: &Ident) -> bool {
    fn in_tokens(tokens: proc_macro2::TokenStream, leaf: &Ident) -> bool {
        tokens.into_iter().any(|t| match t {
            proc_macro2::TokenTree::Ident(i) => i == *leaf,
            proc_macro2::TokenTree::Group(g) => in_tokens(g.stream(), leaf),
            _ => false,
        })
    }
    in_tokens(quote!(#ty), leaf)
}
