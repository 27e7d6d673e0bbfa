//! Finds the paragraphs of a corpus that are about the topic of a prompt.

use std::collections::{BTreeSet, HashMap};

use super::super::words::{is_word, words};

/// Frequent words of prompts, which say nothing about their topic.
const STOP_WORDS: &[&str] = &[
    "a", "about", "an", "and", "answer", "are", "as", "at", "be", "by", "can", "could", "describe", "did", "do",
    "does", "explain", "few", "for", "from", "give", "good", "how", "i", "in", "is", "it", "long", "me", "my", "not",
    "of", "on", "or", "please", "short", "should", "so", "tell", "that", "the", "there", "they", "this", "to", "was",
    "we", "were", "what", "when", "where", "which", "who", "why", "will", "with", "word", "words", "would", "write",
    "you", "your",
];

/// An index from word stems to the paragraphs that contain them.
#[derive(Default)]
pub(super) struct Topics {
    paragraph_count: u32,
    paragraphs: HashMap<String, BTreeSet<u32>>,
}

impl Topics {
    /// Adds a token of a paragraph. Paragraphs come in ascending order.
    pub(super) fn add(&mut self, token: &str, paragraph: u32) {
        self.paragraph_count = paragraph + 1;
        if is_word(token) {
            self.paragraphs.entry(stem(token)).or_default().insert(paragraph);
        }
    }

    /// Returns the relevance of each paragraph for a prompt, from 0 (no common word) to 1.
    pub(super) fn relevance(&self, prompt: &str) -> Vec<f64> {
        let mut relevance = vec![0.0; self.paragraph_count as usize];
        for stem in topical_stems(prompt) {
            for &paragraph in self.paragraphs.get(&stem).into_iter().flatten() {
                relevance[paragraph as usize] += self.rarity(&stem);
            }
        }
        let most = relevance.iter().copied().fold(0.0, f64::max);
        if most > 0.0 {
            for share in &mut relevance {
                *share /= most;
            }
        }
        relevance
    }

    /// Returns the rarity of a stem: its inverse paragraph frequency, on a logarithmic scale.
    pub(super) fn rarity(&self, stem: &str) -> f64 {
        let all = f64::from(self.paragraph_count);
        self.paragraphs.get(stem).map_or(0.0, |having| ((all + 1.0) / having.len() as f64).ln())
    }
}

/// Returns a word in lower case and without the ending of a plural.
pub(super) fn stem(token: &str) -> String {
    let lower = token.to_lowercase();
    let singular = lower.strip_suffix("'s").or_else(|| lower.strip_suffix('s'));
    match singular {
        Some(singular) if singular.len() > 2 && !singular.ends_with('s') => singular.to_owned(),
        _ => lower,
    }
}

/// Returns the stems of the words of a prompt that are not stop words.
pub(super) fn topical_stems(prompt: &str) -> BTreeSet<String> {
    let is_stop_word = |token: &str| STOP_WORDS.contains(&token.to_lowercase().as_str());
    words(prompt).filter(|token| is_word(token) && !is_stop_word(token)).map(stem).collect()
}
