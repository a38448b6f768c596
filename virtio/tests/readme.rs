//! The README's code is the front page's code, which is compiled as doctests.
#![allow(clippy::panic, reason = "a test fails by panicking")]

const README: &str = include_str!("../../README.md");
const FRONT_PAGE: &str = include_str!("../src/lib.rs");

#[test]
fn every_line_of_rust_in_the_readme_stands_on_the_front_page() {
    let compiled: Vec<&str> =
        FRONT_PAGE.lines().filter_map(|line| line.strip_prefix("//!")).map(str::trim).collect();
    let mut lines = 0;
    let mut inside = false;
    for line in README.lines() {
        match line.trim() {
            "```rust,ignore" => inside = true,
            "```" => inside = false,
            code if inside && !code.is_empty() => {
                assert!(compiled.contains(&code), "not compiled anywhere: {code}");
                lines += 1;
            }
            _ => {}
        }
    }
    assert!(lines > 20, "the README shows how to use the crates");
}

#[test]
fn the_whole_hal_takes_fifteen_lines() {
    let start = README.find("struct Pages;").map_or("", |at| README.split_at(at).1);
    let code = start.split("```").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim().is_empty() && !line.trim().starts_with("//")).count();
    assert!((5..=15).contains(&lines), "{lines}");
}
