//! Splits a text into words and punctuation marks, and decides where a joined text has spaces.

/// Returns the words and punctuation marks of a text.
///
/// Quotation marks and brackets are skipped: they come in pairs, which an n-gram model cannot
/// match.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let first = rest.chars().next()?;
            let length = match word_length(rest) {
                0 => first.len_utf8(),
                length => length,
            };
            let (token, after) = rest.split_at(length);
            rest = after;
            if is_word(token) || is_mark(token) {
                return Some(token);
            }
        }
    })
}

/// Whether the token is a word, not a punctuation mark.
pub(super) fn is_word(token: &str) -> bool {
    token.starts_with(is_word_character)
}

/// Whether a sentence may end with this token.
pub(super) fn ends_sentence(token: &str) -> bool {
    matches!(token, "." | "!" | "?" | "…" | "。" | "！" | "？" | "।" | "؟")
}

/// Whether there is a space before the token.
pub(super) fn has_space_before(token: &str) -> bool {
    is_word(token) || is_dash(token)
}

fn is_mark(token: &str) -> bool {
    ends_sentence(token) || is_dash(token) || matches!(token, "," | ";" | ":" | "،" | "、" | "，" | "；" | "：")
}

fn is_dash(token: &str) -> bool {
    matches!(token, "-" | "–" | "—")
}

/// Returns the length in bytes of the word at the start of `text`.
///
/// A mark between two characters of a word is part of it: `don't`, `well-known`, `3.14`.
fn word_length(text: &str) -> usize {
    let mut end = 0;
    let mut characters = text.char_indices().peekable();
    let mut before = None;
    while let Some((at, character)) = characters.next() {
        let after = characters.peek().map(|&(_, character)| character);
        let inside = match (before, after) {
            (Some(before), Some(after)) => is_inside(before, character, after),
            _ => false,
        };
        if !is_word_character(character) && !inside {
            break;
        }
        end = at + character.len_utf8();
        before = Some(character);
    }
    end
}

fn is_inside(before: char, mark: char, after: char) -> bool {
    match mark {
        '\'' | '’' | '-' => is_word_character(before) && is_word_character(after),
        '.' | ',' => before.is_ascii_digit() && after.is_ascii_digit(),
        _ => false,
    }
}

/// Outside ASCII, only punctuation and spaces end a word. So emoji and scripts whose vowel signs
/// are not letters are not split.
fn is_word_character(character: char) -> bool {
    if character.is_ascii() {
        character.is_ascii_alphanumeric()
    } else {
        let punctuation = matches!(
            character,
            '¡' | '¿' | '«' | '»' | '\u{2010}'..='\u{205e}' | '\u{3001}'..='\u{3020}'
                | '！' | '（' | '）' | '，' | '：' | '；' | '？' | '।' | '،' | '؛' | '؟'
        );
        !punctuation && !character.is_whitespace() && !character.is_control()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        words(text).collect()
    }

    #[test]
    fn marks_are_separate_tokens() {
        assert_eq!(split("Rain, then sun; why?"), ["Rain", ",", "then", "sun", ";", "why", "?"]);
    }

    #[test]
    fn marks_inside_a_word_belong_to_it() {
        assert_eq!(
            split("Don't pay 3.14 or 1,000 for well-known pears."),
            ["Don't", "pay", "3.14", "or", "1,000", "for", "well-known", "pears", "."]
        );
        assert_eq!(split("the bakers' bread - fresh"), ["the", "bakers", "bread", "-", "fresh"]);
    }

    #[test]
    fn quotation_marks_and_brackets_are_skipped() {
        assert_eq!(split("(\"Oh\", she “said”.)"), ["Oh", ",", "she", "said", "."]);
    }

    #[test]
    fn words_of_any_script_are_not_split() {
        assert_eq!(split("Größe – žluťoučký"), ["Größe", "–", "žluťoučký"]);
        assert_eq!(split("नमस्ते दुनिया।"), ["नमस्ते", "दुनिया", "।"]);
        assert_eq!(split("¿Qué 🚲?"), ["Qué", "🚲", "?"]);
    }

    #[test]
    fn a_text_without_words_has_none() {
        assert!(split("").is_empty());
        assert!(split(" \n\t \"\" () ").is_empty());
    }
}
