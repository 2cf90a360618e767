//! Long texts, such as the effects of a step, cut to what a person looks at.

/// The first `most` characters of `text`.
pub fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// `most` characters of two texts around their first difference: a third of them comes before it.
pub fn around_difference(one: &str, other: &str, most: usize) -> (String, String) {
    let pairs = one.chars().zip(other.chars());
    let same = pairs.take_while(|(one, other)| one == other).count();
    let skipped = same.saturating_sub(most / 3);
    let from = |text: &str| {
        let rest: String = text.chars().skip(skipped).collect();
        let dots = if skipped > 0 { "…" } else { "" };
        format!("{dots}{}", shortened(&rest, most))
    };
    (from(one), from(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_with_what_comes_before_it() {
        let same = "é".repeat(500);
        let (one, other) = (format!("{same}one{same}"), format!("{same}two"));
        let (one, other) = around_difference(&one, &other, 240);
        assert!(one.starts_with("…é") && one.contains("éoneé"), "{one}");
        assert_eq!(one.chars().count(), 240 + 2);
        assert_eq!(other.chars().count(), 1 + 80 + "two".len());
        let short = around_difference("abc", "ab", 240);
        assert_eq!(short, ("abc".into(), "ab".into()));
    }
}
