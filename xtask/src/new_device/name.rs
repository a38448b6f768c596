//! A device's name, in all its forms.

use virtio_core::DeviceId;

use crate::failure::{Result, fail};

/// The name of a device, as in `file-system`: words of lower-case letters and digits.
#[derive(Clone, Debug, PartialEq)]
pub struct Name(Vec<String>);

/// What the template is called.
const TEMPLATE: &str = "newdev";

/// Words that cannot be the name of a variable.
const KEYWORDS: [&str; 51] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield",
];

impl Name {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self> {
        let words: Vec<_> = text.split('-').map(str::to_owned).collect();
        let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
        let is_word = |word: &String| {
            word.starts_with(|letter: char| letter.is_ascii_lowercase()) && word.chars().all(plain)
        };
        if !words.iter().all(is_word) || text.len() > 32 {
            fail!(
                "{text:?} is no name for a device: lower-case words of letters and digits, joined by hyphens, 32 in all, as in \
                 `file-system`"
            );
        }
        if text == TEMPLATE || text.starts_with("virtio") || KEYWORDS.contains(&text) {
            fail!(
                "{text:?} is no name for a device: the crate is `virtio-NAME`, and NAME a word that Rust has no use for"
            );
        }
        Ok(Self(words))
    }

    /// `virtio-file-system`.
    pub fn package(&self) -> String {
        format!("virtio-{}", self.0.join("-"))
    }

    /// `file system`.
    pub fn words(&self) -> String {
        self.0.join(" ")
    }

    /// `file_system`.
    fn variable(&self) -> String {
        self.0.join("_")
    }

    /// `FileSystem`.
    fn type_name(&self) -> String {
        let capital = |word: &String| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|first| first.to_ascii_uppercase())
                .into_iter()
                .chain(letters)
                .collect::<String>()
        };
        self.0.iter().map(capital).collect()
    }

    /// A template with this name in the place of its own.
    pub fn fill_in(&self, text: &str) -> String {
        text.replace("virtio-newdev", &self.package())
            .replace("newdev device", &format!("{} device", self.words()))
            .replace("Newdev", &self.type_name())
            .replace(TEMPLATE, &self.variable())
    }

    /// What the code of a template calls by one of this name's forms already.
    pub fn taken_in(&self, template: &str) -> Option<String> {
        let code = template.lines().map(|line| line.split("//").next().unwrap_or_default());
        let words =
            code.flat_map(|line| line.split(|letter: char| !letter.is_alphanumeric() && letter != '_'));
        let ours = [self.variable(), self.type_name(), format!("{}Error", self.type_name())];
        words
            .filter(|word| !word.is_empty())
            .find(|word| ours.iter().any(|name| name == word))
            .map(str::to_owned)
    }

    /// The number of the device type that the specification gives this name.
    pub fn listed_type(&self) -> Option<u32> {
        let words = self.words();
        (0..64).find(|&number| DeviceId::new(number).name() == Some(words.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_all_their_forms() {
        let name = Name::parse("file-system2").unwrap();
        assert_eq!(name.package(), "virtio-file-system2");
        assert_eq!((name.variable(), name.type_name()), ("file_system2".into(), "FileSystem2".into()));
        let text = "virtio-newdev virtio_newdev Newdev NewdevError the newdev device newdev.x()";
        assert_eq!(
            name.fill_in(text),
            "virtio-file-system2 virtio_file_system2 FileSystem2 FileSystem2Error the file system2 device file_system2.x()"
        );
    }

    #[test]
    fn what_is_no_identifier_is_refused() {
        let long = "x".repeat(33);
        for text in [
            "",
            "-",
            "a-",
            "-a",
            "a--b",
            "9p",
            "Sound",
            "so und",
            "so_und",
            "../x",
            "tee\u{e9}",
            "fn",
            "virtio-x",
            &long,
        ] {
            let said = Name::parse(text).unwrap_err().to_string();
            assert!(said.starts_with(&format!("{text:?} is no name")), "{said}");
        }
        assert!(Name::parse(&"x".repeat(32)).is_ok());
    }

    #[test]
    fn names_that_the_files_use_are_noticed_and_comments_are_not() {
        let taken = |name: &str, text: &str| Name::parse(name).unwrap().taken_in(text);
        assert_eq!(taken("device", "let device = 1; // sound"), Some("device".into()));
        assert_eq!(taken("queue-spec", "use a::QueueSpec;"), Some("QueueSpec".into()));
        assert_eq!(taken("sound", "let device = 1; // sound"), None);
    }
}
