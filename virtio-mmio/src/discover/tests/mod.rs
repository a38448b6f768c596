//! What is found on a line or in a tree, and what is wrong with the rest.

mod command_line;
#[cfg(feature = "dtoolkit")]
mod device_tree;
