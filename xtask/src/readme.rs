//! `cargo xtask readme TABLE.md`: puts the table that `quorate check --report` wrote into the README.

use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- checks: begin -->\n";
const END: &str = "<!-- checks: end -->";

/// Replaces what stands between the marks.
pub(crate) fn update(root: &Path, table: &Path) -> Result<(), String> {
    let readme = root.join("README.md");
    let read = |path: &Path| {
        let text = fs::read_to_string(path);
        text.map_err(|error| format!("{}: {error}", path.display()))
    };
    let updated = between(&read(&readme)?, &read(table)?)?;
    fs::write(&readme, updated).map_err(|error| format!("{}: {error}", readme.display()))
}

fn between(text: &str, table: &str) -> Result<String, String> {
    let marks = || format!("README.md has no {} … {END}", BEGIN.trim());
    let (head, rest) = text.split_once(BEGIN).ok_or_else(marks)?;
    let (_, tail) = rest.split_once(END).ok_or_else(marks)?;
    Ok(format!("{head}{BEGIN}{table}{END}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_the_marks_is_replaced() {
        let text = format!("a\n{BEGIN}old\n{END}\nb\n");
        let updated = between(&text, "| new |\n").unwrap();
        assert_eq!(updated, format!("a\n{BEGIN}| new |\n{END}\nb\n"));
        assert!(between("no marks", "").is_err());
    }
}
