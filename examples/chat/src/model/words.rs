//! Cuts a text into words and punctuation marks, and says how they stand next
//! to each other when a text is put together again.

/// A word or a mark, as it stands in the text.
///
/// Quotation marks and brackets come in pairs, which an n-gram model cannot
/// keep, so they are left out.
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

/// Whether the token is a word and not a mark.
pub(super) fn is_word(token: &str) -> bool {
    token.starts_with(is_word_character)
}

/// Whether a sentence may end with this token.
pub(super) fn ends_sentence(token: &str) -> bool {
    matches!(token, "." | "!" | "?" | "…" | "。" | "！" | "？" | "।" | "؟")
}

/// Whether a space stands between the token and what comes before it.
pub(super) fn stands_apart(token: &str) -> bool {
    is_word(token) || is_dash(token)
}

fn is_mark(token: &str) -> bool {
    ends_sentence(token) || is_dash(token) || matches!(token, "," | ";" | ":" | "،" | "、" | "，" | "；" | "：")
}

fn is_dash(token: &str) -> bool {
    matches!(token, "-" | "–" | "—")
}

/// The length in bytes of the word that `text` starts with. Marks that stand
/// between two characters of a word belong to it: `don't`, `well-known`, `3.14`.
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

/// Outside ASCII only punctuation ends a word, so that scripts whose vowel
/// signs are no letters, and emoji, stay whole.
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

    fn cut(text: &str) -> Vec<&str> {
        words(text).collect()
    }

    #[test]
    fn marks_are_words_of_their_own() {
        assert_eq!(cut("Rain, then sun; why?"), ["Rain", ",", "then", "sun", ";", "why", "?"]);
    }

    #[test]
    fn marks_inside_a_word_belong_to_it() {
        assert_eq!(
            cut("Don't pay 3.14 or 1,000 for well-known pears."),
            ["Don't", "pay", "3.14", "or", "1,000", "for", "well-known", "pears", "."]
        );
        assert_eq!(cut("the bakers' bread - fresh"), ["the", "bakers", "bread", "-", "fresh"]);
    }

    #[test]
    fn quotation_marks_and_brackets_are_left_out() {
        assert_eq!(cut("(\"Oh\", she “said”.)"), ["Oh", ",", "she", "said", "."]);
    }

    #[test]
    fn words_of_any_script_stay_whole() {
        assert_eq!(cut("Größe – žluťoučký"), ["Größe", "–", "žluťoučký"]);
        assert_eq!(cut("नमस्ते दुनिया।"), ["नमस्ते", "दुनिया", "।"]);
        assert_eq!(cut("¿Qué 🚲?"), ["Qué", "🚲", "?"]);
    }

    #[test]
    fn a_text_without_words_has_none() {
        assert!(cut("").is_empty());
        assert!(cut(" \n\t \"\" () ").is_empty());
    }
}
