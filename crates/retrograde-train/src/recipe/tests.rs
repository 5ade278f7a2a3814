//! Recipes as text: what is read, what is refused and how, what is printed.

use super::*;
use crate::data::{Layout, Targets};
use crate::model::mlp;

fn error(text: &str) -> String {
    Recipe::parse(text, "r.toml").unwrap_err().to_string()
}

#[test]
fn an_empty_recipe_is_the_default() {
    assert_eq!(Recipe::parse("", "r.toml").unwrap(), Recipe::default());
}

#[test]
fn every_key_can_be_set_and_prints_back() {
    let text = "data = \"a \\\"b\\\".csv\"\ntarget = \"é\"\ntask = \"regression\"\nheader = \"no\"\nlabels = \"l\"\n\
                standardise = \"no\"\nloss = \"squared_error\"\nupdate = \"adam\"\ndecay_every = 4\n\
                decay_factor = 0.5\npatience = 6\nsplit = { test = 0.25, validation = 0.125 }\nepochs = 3\nbatch = 7\nlearning_rate = 1\nmomentum = 0.0\nweight_decay = 1e-300\n\
                schedule = \"constant\"\nseed = 18446744073709551615\nmodel = { hidden = [0x10, 1_000], activation = \"relu\", dropout = 0.25 }\n\
                warmup = 2\nbeta_2 = 0.5\nclip_norm = 1\naverage = \"ema\"\naverage_decay = 0.75\nlabel_smoothing = 0.1\n\
                mixup = 0.2\nshift = 1\ntape = \"checkpoint-7\"\n";
    let recipe = Recipe::parse(text, "r.toml").unwrap();
    let expected = Recipe {
        data: Data::Path("a \"b\".csv".into()),
        target: Some("é".into()),
        task: Task::Regression,
        header: Header::No,
        labels: Some("l".into()),
        standardise: Standardise::No,
        loss: Loss::SquaredError,
        update: Update::Minibatch(Rule::Adam),
        decay_every: 4,
        decay_factor: 0.5,
        patience: 6,
        split: Shares { test: 0.25, validation: 0.125 },
        epochs: 3,
        batch: 7,
        learning_rate: 1.0,
        momentum: 0.0,
        weight_decay: 1e-300,
        schedule: Schedule::Constant,
        seed: u64::MAX,
        warmup: 2,
        beta_2: 0.5,
        clip_norm: 1.0,
        average: Average::Ema,
        average_decay: 0.75,
        label_smoothing: 0.1,
        mixup: 0.2,
        shift: 1,
        tape: "checkpoint-7".parse().unwrap(),
        model: Model::Mlp(mlp::Keys { hidden: vec![16, 1000], activation: Activation::Relu, dropout: 0.25 }),
        places: Places::default(),
    };
    assert_eq!(recipe, expected);
    for recipe in [expected, Recipe::default()] {
        assert_eq!(Recipe::parse(&recipe.to_string(), "printed").unwrap(), recipe);
    }
    for key in KEYS {
        assert!(Recipe::default().to_string().contains(key.name), "{} is not printed", key.name);
    }
}

/// What each model prints reads back, and a value changed under each of its keys is kept.
#[test]
fn every_key_of_every_model_can_be_set_and_prints_back() {
    for name in Model::NAMES {
        let recipe = Recipe::parse(&format!("model = \"{name}\""), "r.toml").unwrap();
        assert_eq!(recipe.model.name(), *name);
        let printed = recipe.to_string();
        assert_eq!(Recipe::parse(&printed, "printed").unwrap(), recipe);
        let keys = printed.split_once("[model]\n").unwrap().1;
        for line in keys.lines() {
            let (key, value) = line.split_once(" = ").unwrap();
            let (value, note) = value.split_once("  # ").unwrap_or((value, ""));
            let other = match (key, value) {
                ("name", _) => continue,
                (_, value) if value.starts_with('"') => {
                    let names = note.replace(" or ", ", ");
                    let other = names.split(", ").find(|name| format!("\"{name}\"") != value);
                    format!("\"{}\"", other.unwrap())
                }
                (_, value) if value.starts_with('[') => "[3, 5, 7]".into(),
                (_, value) if value.contains('.') => "0.375".into(),
                _ => "5".into(),
            };
            let changed = recipe.amend(&format!("model.{key} = {other}"), "--set").unwrap();
            assert_ne!(changed, recipe, "{name} {key}");
            let again = Recipe::parse(&changed.to_string(), "printed").unwrap();
            assert_eq!(again, changed, "{name} {key}");
            assert_ne!(changed.checksum(), recipe.checksum(), "{name} {key}");
        }
    }
}

#[test]
fn a_model_is_named_and_has_its_own_keys() {
    let text = "[model]\nheads = 8\nname = \"transformer\"\n";
    let recipe = Recipe::parse(text, "r.toml").unwrap();
    assert_eq!(recipe.model.name(), "transformer");
    // The same name again keeps its keys; another name begins anew.
    let again = recipe.amend("model = \"transformer\"", "--set").unwrap();
    assert_eq!(again.model, recipe.model);
    assert_eq!(recipe.amend("model.name = \"cnn\"", "--set").unwrap().model, Model::named("cnn").unwrap());
    assert_eq!(
        error("epochs = 1\nmodel = \"transfomer\"\n"),
        "error: unknown model \"transfomer\"\n  --> r.toml:2:9\n  help: did you mean \"transformer\"? the models are \
         \"mlp\", \"linear\", \"residual\", \"cnn\", \"lstm\", \"transformer\", \"revnet\", \"binary\", \"feedback_alignment\", \
         \"synthetic_gradients\""
    );
    assert_eq!(
        error("[model]\nname = \"lstm\"\nhiden = 3\n"),
        "error: unknown key `hiden`\n  --> r.toml:3:1\n  help: did you mean `hidden`? the keys here are `name`, `hidden`, \
         `clip`, `dropout`"
    );
    assert_eq!(
        error("heads = 3"),
        "error: unknown key `heads`\n  --> r.toml:1:1\n  help: `heads` belongs under `[model]`"
    );
    assert_eq!(
        error("tape = \"revers\""),
        "error: unknown policy \"revers\"\n  --> r.toml:1:8\n  help: did you mean \"reverse\"? the policies here are \
         \"store\", \"recompute\", \"checkpoint-sqrt\", \"reverse\", checkpoint-N for N states, budget-N for N bytes, \
         quantise-B for B bits"
    );
}

#[test]
fn an_update_is_named_and_has_its_own_keys() {
    for name in Update::names() {
        let recipe = Recipe::parse(&format!("update = \"{name}\""), "r.toml").unwrap();
        assert_eq!(recipe.update.name(), name);
        let printed = recipe.to_string();
        assert_eq!(Recipe::parse(&printed, "printed").unwrap(), recipe, "{name}");
        let keys =
            printed.split_once("[update]\n").map_or("", |(_, rest)| rest.split_once("\n\n").unwrap().0);
        assert_eq!(keys.is_empty(), matches!(recipe.update, Update::Minibatch(_)), "{name}");
        for line in keys.lines().skip(1) {
            let (key, rest) = line.split_once(" = ").unwrap();
            let (value, note) = rest.split_once("  # ").unwrap();
            assert!(!note.is_empty());
            let other = if value.contains('.') || value.contains('e') { "0.375" } else { "7" };
            let changed = recipe.amend(&format!("update.{key} = {other}"), "--set").unwrap();
            assert_ne!(changed, recipe, "{name} {key}");
            assert_eq!(Recipe::parse(&changed.to_string(), "printed").unwrap(), changed, "{name} {key}");
            assert_ne!(changed.checksum(), recipe.checksum(), "{name} {key}");
        }
    }
    // What a minimiser does not look at is not printed, unless somebody said it.
    let plain = Recipe::parse("update = \"svrg\"", "r.toml").unwrap();
    assert!(!plain.to_string().contains("\nbatch = 32") && plain.to_string().contains("\nbatch = 1  # rows"));
    let odd = Recipe { learning_rate: 0.5, ..plain.clone() };
    assert_eq!(Recipe::parse(&odd.to_string(), "printed").unwrap(), odd);
    // The name may come last; the same name again keeps its keys, another one begins anew.
    let text = "[update]\nmemory = 20\nname = \"lbfgs\"\n";
    let recipe = Recipe::parse(text, "r.toml").unwrap();
    assert!(recipe.to_string().contains("\nmemory = 20  # "));
    assert_eq!(recipe.amend("update = \"lbfgs\"", "--set").unwrap(), recipe);
    let other = recipe.amend("update = \"stochastic-newton\"", "--set").unwrap();
    assert!(other.to_string().contains("\nmemory = 5  # "));
}

#[test]
fn mistakes_about_updates_say_what_was_found_where_and_what_to_try() {
    let names = Update::names();
    let first = names[..20].iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    assert_eq!(
        error("epochs = 1\nupdate = \"stochastic-newtn\"\n"),
        format!(
            "error: unknown update \"stochastic-newtn\"\n  --> r.toml:2:10\n  help: did you mean \"stochastic-newton\"? the \
             updates are {first} and {} more",
            names.len() - 20
        )
    );
    assert!(error("update = \"l-bfgs\"").contains("did you mean \"lbfgs\""));
    assert_eq!(
        error("update = 3"),
        "error: found 3, expected the name of an update, or a table, such as { name = \"lbfgs\", memory = 10 }\n  --> r.toml:1:10"
    );
    assert_eq!(
        error("[update]\nname = \"stochastic-newton\"\nmemry = 3\n"),
        "error: unknown key `memry`\n  --> r.toml:3:1\n  help: did you mean `memory`? the keys here are `name`, `memory`, \
         `refresh_every`, `subsample`, `damping`, `levenberg`, `tolerance`"
    );
    assert_eq!(
        error("[update]\nname = \"adam\"\nmemory = 3\n"),
        "error: unknown key `memory`\n  --> r.toml:3:1\n  help: the keys here are `name`"
    );
    assert_eq!(
        error("refresh_every = 3"),
        "error: unknown key `refresh_every`\n  --> r.toml:1:1\n  help: `refresh_every` belongs under `[update]`"
    );
    assert_eq!(
        error("update = { name = \"lbfgs\", memory = 0 }"),
        "error: found 0, expected an integer from 1 to 4294967295\n  --> r.toml:1:37"
    );
    assert_eq!(
        error("update = { name = \"newton-cg\", forcing = -0.5 }"),
        "error: found -0.5, expected a finite number above 0\n  --> r.toml:1:42"
    );
}

/// Keys that say nothing to a minimiser, chance in its loss, and models that it cannot treat: each with its line.
#[test]
fn what_a_minimiser_cannot_use_is_refused_with_its_line() {
    let digits = crate::digits();
    let check = |text: &str, expected: &str| {
        let recipe = Recipe::parse(text, "r.toml").unwrap();
        let error = recipe.check(&digits).unwrap_err().to_string();
        assert!(error.starts_with(&format!("error: {expected}")), "{error}");
        assert!(error.contains("\n  help: "), "{error}");
    };
    let useless = |key: &str| {
        format!(
            "`{key}` is for updates by minibatches, and \"saga\" takes its own steps down one sum\n  --> r.toml:2:"
        )
    };
    for line in [
        "batch = 32",
        "learning_rate = 0.1",
        "momentum = 0.9",
        "schedule = \"cosine\"",
        "warmup = 1",
        "clip_norm = 1",
        "average = \"ema\"",
        "mixup = 0.2",
        "shift = 1",
        "tape = \"recompute\"",
    ] {
        let key = line.split(' ').next().unwrap();
        check(&format!("update = \"saga\"\n{line}"), &useless(key));
        // In whatever order they come.
        let recipe = Recipe::parse(line, "a.toml").unwrap().amend("update = \"saga\"", "--set").unwrap();
        assert!(recipe.check(&digits).is_err(), "{line}");
    }
    let help = "help: leave out `batch`; under `[update]`, \"svrg\" has the keys `rate`, `depth`, `batch`, `tolerance`";
    let recipe = Recipe::parse("update = \"svrg\"\nbatch = 8", "r.toml").unwrap();
    assert!(recipe.check(&digits).unwrap_err().to_string().ends_with(help));
    check(
        "update = \"lbfgs\"\n[model]\ndropout = 0.25",
        "found a dropout of 0.25, with which the loss is another at every step, expected 0 for a minimiser of one sum\n  --> \
         r.toml:3:11",
    );
    check("update = \"lbfgs\"\nmodel = \"residual\"", "found a dropout of 0.1, ");
    for model in ["cnn", "lstm", "binary", "feedback_alignment", "synthetic_gradients"] {
        check(&format!("update = \"stochastic-newton\"\nmodel = \"{model}\""), "found a model whose ");
    }
    check(
        "model = \"cnn\"\nupdate = \"newton-cg\"",
        "found a model whose batch norms mix the rows of a batch, expected one whose loss is a mean over single rows with exact \
         derivatives\n  --> r.toml:1:9",
    );
    for update in ["lissa", "matrix-free-newton"] {
        check(
            &format!("epochs = 3\nupdate = \"{update}\""),
            &format!(
                "\"{update}\" needs a convex loss, and that of the model \"mlp\" is not\n  --> r.toml:2:10"
            ),
        );
        let linear = format!("update = \"{update}\"\nmodel = \"linear\"");
        Recipe::parse(&linear, "r.toml").unwrap().check(&digits).unwrap();
    }
    check(
        "update = { name = \"svrg\", batch = 5000 }",
        "found 5000 rows at once, expected at most the 1797 to train on\n  --> r.toml:1:35",
    );
    // A table of all gradients that no memory holds.
    let recipe = Recipe::parse("update = \"saga\"\nmodel.hidden = [2048]", "r.toml").unwrap();
    let error = recipe.check_memory(1500, (153_610, 10), 1 << 27).unwrap_err().to_string();
    assert!(
        error.starts_with(
            "error: \"saga\" holds 230415000 numbers for 1500 rows and 153610 parameters, expected at most 134217728\n  --> \
             r.toml:1:10\n  help: use \"lbfgs\" or \"svrg\""
        ),
        "{error}"
    );
    let recipe = recipe.amend("update = \"svrg\"", "--set").unwrap();
    recipe.check_memory(1500, (153_610, 10), 1 << 27).unwrap();
    // Label smoothing is the same at every step.
    Recipe::parse("label_smoothing = 0.1\nupdate = \"lbfgs\"", "r.toml").unwrap().check(&digits).unwrap();
}

/// Keys that are legal alone and go with neither the data nor each other: each with its line.
#[test]
fn what_does_not_fit_together_names_the_line() {
    let digits = crate::digits();
    let check = |text: &str, place: &str, message: &str| {
        let error = Recipe::parse(text, "r.toml").unwrap().check(&digits).unwrap_err().to_string();
        assert!(error.starts_with(&format!("error: {message}\n  --> {place}\n  help: ")), "{error}");
    };
    check(
        "[model]\nname = \"cnn\"\nchannels = [8, 8, 8, 8, 8]",
        "r.toml:3:12",
        "found 5 stages, each of which halves an image, for images of 8×8 pixels, expected at most 3",
    );
    check(
        "[model]\nname = \"cnn\"\nkernel = 4",
        "r.toml:3:10",
        "found convolutions of size 4, expected an odd one",
    );
    check(
        "[model]\nheads = 5\nname = \"transformer\"",
        "r.toml:2:9",
        "found 5 heads for a width of 64, expected a divisor of it",
    );
    check(
        "model = { name = \"transformer\", patch = 3 }",
        "r.toml:1:41",
        "found patches of 3×3 pixels, which do not divide images of 8×8",
    );
    check(
        "[model]\nname = \"synthetic_gradients\"\nhidden = [32]\ncut = 2",
        "r.toml:4:7",
        "found a cut above 2 hidden layers of 1, expected at most as many",
    );
    check("warmup = 3\nepochs = 3", "r.toml:1:10", "found 3 epochs of warmup in 3 epochs, expected fewer");
    check("patience = 3", "r.toml:1:12", "patience = 3 needs validation rows, and split.validation is 0");
    check(
        "loss = \"squared_error\"",
        "r.toml:1:8",
        "the squared error is a loss for numbers, and the targets are classes",
    );
    let numbers = Targets::Values(vec![0.0; digits.n_rows()]);
    let layout = Layout::Columns { names: vec!["a".into(); 64], header: true };
    let inputs = crate::Inputs { layout, ..digits.inputs.clone() };
    let columns = crate::Dataset { inputs, targets: numbers, ..digits.clone() };
    for (text, place, message) in [
        ("model = \"revnet\"", "r.toml:1:9", "found 64 columns of numbers, expected images"),
        (
            "epochs = 1\nshift = 1",
            "r.toml:2:9",
            "`shift` is for images, and the inputs are 64 columns of numbers",
        ),
        ("mixup = 0.2", "r.toml:1:9", "`mixup` is for classes, and the targets are numbers"),
    ] {
        let error = Recipe::parse(text, "r.toml").unwrap().check(&columns).unwrap_err().to_string();
        assert!(error.starts_with(&format!("error: {message}\n  --> {place}\n")), "{error}");
    }
    // A key that nobody set has no line.
    let recipe = Recipe { mixup: 0.2, ..Recipe::default() };
    let error = recipe.check(&columns).unwrap_err().to_string();
    assert!(error.contains("\n  --> the recipe, `mixup`\n"), "{error}");
}

#[test]
fn odd_floats_print_back() {
    for bits in
        [1, 0x0010_0000_0000_0000, 0x3ff0_0000_0000_0001, 0x7fef_ffff_ffff_ffff, 0x4340_0000_0000_0001]
    {
        let recipe = Recipe { learning_rate: f64::from_bits(bits), ..Recipe::default() };
        assert_eq!(Recipe::parse(&recipe.to_string(), "printed").unwrap(), recipe);
    }
}

#[test]
fn amending_keeps_the_rest() {
    let base = Recipe::parse("epochs = 3\n[model]\nactivation = \"relu\"", "r.toml").unwrap();
    let amended = base.amend("seed = 7\nmodel.hidden = [8]", "--set").unwrap();
    assert_eq!((amended.epochs, amended.seed), (3, 7));
    let keys = mlp::Keys { hidden: vec![8], activation: Activation::Relu, dropout: 0.0 };
    assert_eq!(amended.model, Model::Mlp(keys));
    assert!(base.amend("seed = -7", "--seed").unwrap_err().to_string().starts_with(
        "error: found -7, expected an integer from 0 to 18446744073709551615\n  --> --seed:1:8"
    ));
}

#[test]
fn unknown_keys_name_place_near_misses_and_known_keys() {
    assert_eq!(
        error("epochs = 1\n  learning_rte = 0.1\n"),
        "error: unknown key `learning_rte`\n  --> r.toml:2:3\n  help: did you mean `learning_rate`? the keys here are \
         `data`, `target`, `task`, `header`, `labels`, `standardise`, `loss`, `epochs`, `batch`, `update`, \
         `learning_rate`, `momentum`, `weight_decay`, `schedule`, `decay_every`, `decay_factor`, `warmup`, `beta_2`, \
         `clip_norm`, `average` and 9 more"
    );
    assert_eq!(
        error("[model]\nwidth = 3\n"),
        "error: unknown key `width`\n  --> r.toml:2:1\n  help: the keys here are `name`, `hidden`, `activation`, \
         `dropout`"
    );
    assert_eq!(
        error("hidden = [3]"),
        "error: unknown key `hidden`\n  --> r.toml:1:1\n  help: `hidden` belongs under `[model]`"
    );
}

#[test]
fn a_slip_in_any_key_is_understood() {
    for key in KEYS.iter().map(|key| key.name) {
        for at in 1..key.len() {
            let missing = format!("{}{}", &key[..at], &key[at + 1..]);
            let mut swapped = key.as_bytes().to_vec();
            swapped.swap(at - 1, at);
            for slip in [missing, String::from_utf8(swapped).unwrap()] {
                if slip != key {
                    let help = error(&format!("{slip} = 1"));
                    assert!(help.contains("did you mean") && help.contains(&format!("`{key}`")), "{help}");
                }
            }
        }
    }
}

#[test]
fn wrong_values_say_what_was_found_and_expected() {
    let check = |text: &str, expected: &str| {
        let (column, rest) = expected.split_once(": ").unwrap();
        let (message, help) =
            rest.split_once("\n").map_or((rest, String::new()), |(m, h)| (m, format!("\n{h}")));
        assert_eq!(error(text), format!("error: {message}\n  --> r.toml:1:{column}{help}"));
    };
    check(
        "schedule = \"cosin\"",
        "12: unknown value \"cosin\"\n  help: did you mean \"cosine\"? the values here are \"constant\", \"cosine\", \"step\", \"linear\", \"one_cycle\"",
    );
    check("data = 3", "8: found 3, expected \"digits\" or the name of a file or folder");
    check("target = \"\"", "10: found \"\", expected the name of a column");
    check("split.test = 1", "14: found 1, expected a finite number above 0 and below 1");
    check("split = 0.2", "9: found 0.2, expected a table, such as { test = 0.2 }");
    check("decay_factor = 2", "16: found 2, expected a finite number above 0 and at most 1");
    check("patience = -1", "12: found -1, expected an integer from 0 to 4294967295");
    check("epochs = 0", "10: found 0, expected an integer from 1 to 4294967295");
    check("epochs = 5000000000", "10: found 5000000000, expected an integer from 1 to 4294967295");
    check("batch = 1.5", "9: found 1.5, expected an integer from 1 to 4294967295");
    check("seed = -1", "8: found -1, expected an integer from 0 to 18446744073709551615");
    check("learning_rate = 0.0", "17: found 0.0, expected a finite number above 0");
    check("learning_rate = nan", "17: found nan, expected a finite number above 0");
    check("learning_rate = 1e999", "17: found 1e999, expected a finite number above 0");
    check("learning_rate = \"fast\"", "17: found \"fast\", expected a finite number above 0");
    check("momentum = 1", "12: found 1, expected a finite number from 0 to below 1");
    check("weight_decay = -1e-9", "16: found -1e-9, expected a finite number from 0");
    check("weight_decay = inf", "16: found inf, expected a finite number from 0");
    check(
        "model = true",
        "9: found true, expected the name of a model, or a table, such as { name = \"mlp\", hidden = [64] }",
    );
    check("model.dropout = 1", "17: found 1, expected a finite number from 0 to below 1");
    check("model.dropout = -0.5", "17: found -0.5, expected a finite number from 0 to below 1");
    check(
        "model.name = 3",
        "14: found 3, expected one of \"mlp\", \"linear\", \"residual\", \"cnn\", \"lstm\", \"transformer\", \"revnet\", \"binary\", \"feedback_alignment\", \"synthetic_gradients\"",
    );
    check("model = { name = \"lstm\", clip = 0 }", "33: found 0, expected a finite number above 0");
    check("clip_norm = -1", "13: found -1, expected a finite number from 0");
    check("label_smoothing = 1.0", "19: found 1.0, expected a finite number from 0 to below 1");
    check("mixup = inf", "9: found inf, expected a finite number from 0");
    check("tape = 3", "8: found 3, expected a policy, such as \"store\" or \"reverse\"");
    check("model.hidden = []", "16: found no hidden layer\n  help: try [64], or the model \"linear\"");
    check("model.hidden = 64", "16: found 64, expected an array of widths, such as [64]");
    check("model.hidden = [64, 0]", "21: found 0, expected an integer from 1 to 65536");
    check("model.hidden = [[64]]", "17: found an array, expected an integer from 1 to 65536");
}

#[test]
fn all_mistakes_come_at_once_in_the_order_of_the_text() {
    let text = "seed = -1\nepochs = 0\n[model]\nactivation = \"tanhh\"\nhiden = 3\n";
    let RecipeError::Mistakes(mistakes) = Recipe::parse(text, "r.toml").unwrap_err() else { unreachable!() };
    assert_eq!(mistakes.iter().map(|mistake| mistake.line).collect::<Vec<_>>(), [1, 2, 4, 5]);
}

#[test]
fn text_that_is_not_toml_is_located() {
    let check = |text: &str, place: &str| {
        let error = error(text);
        assert!(error.starts_with("error: not TOML: "), "{error}");
        assert!(error.ends_with(&format!("\n  --> r.toml:{place}")), "{error}");
        assert_eq!(error.lines().count(), 2, "{error}");
    };
    check("epochs = 1\nepochs = 2\n", "2:1");
    check("\u{e9}t\u{e9} = 1\n", "1:1");
    check("epochs = 1\nschedule = \"\u{e9}\u{e9}\" x\n", "2:17");
    check("epochs", "1:7");
}

#[test]
fn a_missing_file_names_the_path_and_what_to_try() {
    let error = Recipe::load(Path::new("no/such/recipe.toml")).unwrap_err().to_string();
    assert!(
        error.starts_with("error: cannot read the recipe: ") && error.contains("--> no/such/recipe.toml"),
        "{error}"
    );
    assert!(error.contains("--print-recipe"), "{error}");
}

/// Cuts, drops, doubles and replaces pieces of recipes: an error or a recipe that prints back, never a panic.
#[test]
fn damaged_recipes_never_panic() {
    // Without the notes, which are two thirds of it: time goes with the square of the length.
    let all = Recipe::default().to_string();
    let all: String =
        all.lines().map(|line| format!("{}\n", line.split("  #").next().unwrap_or_default())).collect();
    let texts = [
        all,
        "target = \"…\"  # a note\nseed = 1  # …".into(),
        "model = { hidden = [64, 0x10, 1_0], activation = \"t\\u0061nh\" }\nlearning_rate = 1e-3".into(),
        "[model]\nhidden = [[1], { a = 1979-05-27 }]\n\"\u{e9}\" = '''\n'''\n[[data]]\n[data.x]\n".into(),
    ];
    let pieces =
        ["", "\"", "[", "]", "{", "=", "\n", ".", "-", "0", "e999", "\u{e9}", "\0", "\r", "#", "'''"];
    let check = |text: &str| match Recipe::parse(text, "r.toml") {
        Ok(recipe) => assert_eq!(Recipe::parse(&recipe.to_string(), "printed").unwrap(), recipe),
        Err(error) => assert!(error.to_string().contains("\n  --> r.toml:")),
    };
    for text in texts {
        let cuts = text.char_indices().map(|(at, c)| (at, at + c.len_utf8())).collect::<Vec<_>>();
        for &(start, end) in &cuts {
            for piece in pieces {
                check(&format!("{}{piece}{}", &text[..start], &text[end..]));
                check(&format!("{}{piece}{}", &text[..start], &text[start..]));
                check(&format!("{}{piece}", &text[..start]));
            }
        }
    }
    check(&"[".repeat(10_000));
    check(&format!("model.hidden = {}1{}", "[".repeat(5_000), "]".repeat(5_000)));
    check(&format!("{} = 1", "a".repeat(100_000)));
    check(&format!("{} = 1", vec!["a"; 10_000].join(".")));
    check(&format!("seed = {}", "9".repeat(10_000)));
}
