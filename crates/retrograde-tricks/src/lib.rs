//! The laundry list: tricks as small, cited, composable parts.
