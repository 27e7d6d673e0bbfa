//! A word n-gram model, trained when the program starts.
//!
//! It stores the corpus as a sequence of word ids and, for each n-gram of up to three words, the
//! positions in the corpus that follow it. The next word is sampled from these positions. Shorter
//! n-grams have a lower weight ("stupid backoff"). Positions in paragraphs that share rare words
//! with the prompt have a higher weight, which keeps the answer on topic.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;

use super::error::ModelError;
use super::language_model::Model;
use super::random::{Random, hash};
use super::words::{ends_sentence, has_space_before, is_word, words};
use topics::{Topics, stem, topical_stems};

mod topics;

/// How many previous words the next word depends on.
const CONTEXT: usize = 3;
/// The weight of an n-gram relative to one that is longer by one word.
const BACKOFF: f64 = 0.2;
/// Values below 1 prefer likely words, values above 1 rare words.
const TEMPERATURE: f64 = 0.8;
/// The additional weight of a position in the most relevant paragraph.
const TOPIC_WEIGHT: f64 = 60.0;
/// The weight of a sequence of four words that is repeated for the first time. A second repetition
/// is excluded, so that an answer cannot loop.
const REPETITION: f64 = 0.02;
/// An answer ends with the first sentence that ends after this many words.
const MIN_WORDS: u32 = 24;

/// The id of a word: its index in `spellings`.
type Word = u32;

/// The words before an answer, and the first word of the answer if it is already chosen.
struct Opening {
    context: Vec<Word>,
    first: Option<Word>,
}

/// An n-gram model. The same corpus, seed and prompt give the same answer.
pub(crate) struct NgramModel {
    name: String,
    seed: u64,
    ids: HashMap<String, Word>,
    spellings: Vec<String>,
    corpus: Vec<Word>,
    /// The paragraph of each word of the corpus.
    paragraphs: Vec<u32>,
    /// For n-grams of one to `CONTEXT` words, the positions that follow.
    followers: HashMap<Box<[Word]>, Vec<u32>>,
    topics: Topics,
}

impl NgramModel {
    /// Creates a model that is trained on the text of this example.
    pub(crate) fn built_in() -> Self {
        Self::train("corpus.txt", include_str!("../../../corpus.txt")).expect("the built-in corpus is prose")
    }

    /// Trains a model on `text`, in which blank lines separate paragraphs.
    ///
    /// `name` is shown to the user.
    ///
    /// # Errors
    ///
    /// The text has no words, or more than `u32::MAX`.
    pub(crate) fn train(name: &str, text: &str) -> Result<Self, ModelError> {
        let mut model = Self {
            name: String::new(),
            seed: 0,
            ids: HashMap::new(),
            spellings: Vec::new(),
            corpus: Vec::new(),
            paragraphs: Vec::new(),
            followers: HashMap::new(),
            topics: Topics::default(),
        };
        let mut spellings = Spellings::default();
        for (paragraph, text) in (0..).zip(paragraphs(text)) {
            for token in words(&text) {
                let word = model.intern(token);
                let opens = model.paragraphs.last() != Some(&paragraph)
                    || model.corpus.last().is_none_or(|&word| model.ends_sentence(word));
                spellings.count(word, token, opens);
                model.topics.add(token, paragraph);
                model.corpus.push(word);
                model.paragraphs.push(paragraph);
            }
        }
        if !model.spellings.iter().any(|token| is_word(token)) {
            return Err(ModelError::EmptyCorpus { name: name.to_owned() });
        }
        if u32::try_from(model.corpus.len()).is_err() {
            return Err(ModelError::CorpusTooLong {
                name: name.to_owned(),
                words: model.corpus.len(),
                limit: u32::MAX as usize,
            });
        }
        spellings.store_most_frequent(&mut model.spellings);
        for (at, position) in (1..model.corpus.len()).zip(1..) {
            for length in 1..=CONTEXT.min(at) {
                let ngram = &model.corpus[at - length..at];
                match model.followers.get_mut(ngram) {
                    Some(positions) => positions.push(position),
                    None => {
                        model.followers.insert(ngram.into(), vec![position]);
                    }
                }
            }
        }
        model.name =
            format!("n-gram model of {name} ({} words, {} different)", model.corpus.len(), model.spellings.len());
        Ok(model)
    }

    /// Sets the seed. Each seed gives different answers to a prompt; the default is 0.
    pub(crate) fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Returns the id of a word, ignoring case. A new word gets a new id.
    fn intern(&mut self, token: &str) -> Word {
        let key = token.to_lowercase();
        if let Some(&id) = self.ids.get(&key) {
            return id;
        }
        let id = Word::try_from(self.spellings.len()).expect("fewer than 2^32 different words");
        self.spellings.push(key.clone());
        self.ids.insert(key, id);
        id
    }

    /// Chooses the beginning of an answer.
    ///
    /// If the prompt is an incomplete sentence, the answer continues it. Otherwise it begins with
    /// the first word of a relevant sentence of the corpus.
    fn opening(&self, prompt: &str, relevance: &[f64], random: &mut Random) -> Opening {
        let mut end: Vec<Word> = Vec::new();
        for token in words(prompt) {
            match self.ids.get(&token.to_lowercase()) {
                Some(&id) => end.push(id),
                None => end.clear(),
            }
            if end.len() > CONTEXT {
                end.remove(0);
            }
        }
        let in_sentence = end.last().is_some_and(|&last| {
            let positions = self.followers.get(&[last][..]).map_or(&[][..], Vec::as_slice);
            !self.ends_sentence(last) && positions.iter().any(|&position| self.is_word_at(position as usize))
        });
        if in_sentence {
            return Opening { context: end, first: None };
        }

        let stems = topical_stems(prompt);
        let starts = self.sentence_starts();
        let mut weights: Vec<f64> = starts
            .iter()
            .map(|&start| {
                let shared: BTreeSet<String> = self.corpus[start..]
                    .iter()
                    .take_while(|&&word| !self.ends_sentence(word))
                    .map(|&word| stem(self.spelling(word)))
                    .filter(|stem| stems.contains(stem))
                    .collect();
                let rarity: f64 = shared.iter().map(|stem| self.topics.rarity(stem)).sum();
                let related = relevance[self.paragraphs[start] as usize];
                (related * (1.0 + rarity)).powi(6)
            })
            .collect();
        if weights.iter().all(|&weight| weight == 0.0) {
            weights.fill(1.0);
        }
        let start = starts[random.draw(weights.into_iter())];
        Opening { context: self.corpus[start.saturating_sub(CONTEXT)..start].to_vec(), first: Some(self.corpus[start]) }
    }

    /// Returns the positions of the first words of all sentences.
    fn sentence_starts(&self) -> Vec<usize> {
        let mut starts = Vec::new();
        let mut in_new_sentence = true;
        for position in 0..self.corpus.len() {
            in_new_sentence |= position > 0
                && (self.paragraphs[position] != self.paragraphs[position - 1]
                    || self.ends_sentence(self.corpus[position - 1]));
            if in_new_sentence && self.is_word_at(position) {
                starts.push(position);
                in_new_sentence = false;
            }
        }
        starts
    }

    fn is_word_at(&self, position: usize) -> bool {
        is_word(self.spelling(self.corpus[position]))
    }

    fn spelling(&self, word: Word) -> &str {
        &self.spellings[word as usize]
    }

    fn ends_sentence(&self, word: Word) -> bool {
        ends_sentence(self.spelling(word))
    }

    /// Returns the words that may follow `text`, with their weights.
    ///
    /// A `BTreeMap` has a fixed order, so the answer is reproducible.
    fn candidates(&self, text: &[Word], relevance: &[f64]) -> BTreeMap<Word, f64> {
        let mut candidates = BTreeMap::new();
        let mut backoff = 1.0;
        for length in (1..=CONTEXT.min(text.len())).rev() {
            let ngram = &text[text.len() - length..];
            let Some(positions) = self.followers.get(ngram) else {
                continue;
            };
            let mut scores: BTreeMap<Word, f64> = BTreeMap::new();
            let mut total = 0.0;
            for &position in positions {
                let related = relevance[self.paragraphs[position as usize] as usize];
                let weight = 1.0 + TOPIC_WEIGHT * related * related;
                *scores.entry(self.corpus[position as usize]).or_default() += weight;
                total += weight;
            }
            for (word, score) in scores {
                candidates.entry(word).or_insert(backoff * score / total);
            }
            backoff *= BACKOFF;
        }
        candidates
    }
}

impl Model for NgramModel {
    fn generate(
        &mut self,
        prompt: &str,
        max_tokens: u32,
        emit: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<(), ModelError> {
        let mut random = Random::new(hash(prompt) ^ self.seed);
        let relevance = self.topics.relevance(prompt);
        let Opening { context: mut text, mut first } = self.opening(prompt, &relevance, &mut random);
        let mut opens = first.is_some();
        let mut emitted_runs: HashMap<[Word; CONTEXT + 1], u8> = HashMap::new();

        for emitted in 1..=max_tokens {
            let mut candidates = match first.take() {
                Some(word) => BTreeMap::from([(word, 1.0)]),
                None => self.candidates(&text, &relevance),
            };
            candidates.retain(|&word, weight| {
                let times = last_words(&text, word).and_then(|run| emitted_runs.get(&run)).copied();
                *weight *= if times.is_some() { REPETITION } else { 1.0 };
                times.is_none_or(|times| times < 2)
            });
            if emitted == 1 {
                candidates.retain(|&word, _| is_word(self.spelling(word)));
            }
            if candidates.is_empty() {
                break;
            }
            let weights = candidates.values().map(|weight| weight.powf(1.0 / TEMPERATURE));
            let drawn = random.draw(weights);
            let word = *candidates.keys().nth(drawn).expect("the index is below the number of candidates");

            let spelling = self.spelling(word);
            let mut piece = String::with_capacity(spelling.len() + 1);
            if emitted > 1 && has_space_before(spelling) {
                piece.push(' ');
            }
            if opens {
                let mut characters = spelling.chars();
                piece.extend(characters.next().into_iter().flat_map(char::to_uppercase));
                piece.push_str(characters.as_str());
            } else {
                piece.push_str(spelling);
            }
            if emit(&piece).is_break() {
                break;
            }

            opens = self.ends_sentence(word);
            if opens && emitted >= MIN_WORDS {
                break;
            }
            if let Some(run) = last_words(&text, word) {
                *emitted_runs.entry(run).or_default() += 1;
            }
            text.push(word);
        }
        Ok(())
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// Returns the last words of `text`, followed by `word`; `None` if the text is too short.
fn last_words(text: &[Word], word: Word) -> Option<[Word; CONTEXT + 1]> {
    let &[a, b, c] = text.last_chunk::<CONTEXT>()?;
    Some([a, b, c, word])
}

/// Counts the spellings of each word inside sentences, where a capital letter means a name.
#[derive(Default)]
struct Spellings(HashMap<Word, BTreeMap<String, u32>>);

impl Spellings {
    fn count(&mut self, word: Word, token: &str, opens_sentence: bool) {
        if !opens_sentence {
            *self.0.entry(word).or_default().entry(token.to_owned()).or_default() += 1;
        }
    }

    /// Replaces the spelling of each word by the most frequent one.
    fn store_most_frequent(self, spellings: &mut [String]) {
        for (word, counts) in self.0 {
            if let Some((usual, _)) = counts.into_iter().max_by_key(|&(_, count)| count) {
                spellings[word as usize] = usual;
            }
        }
    }
}

/// Splits a text at blank lines.
fn paragraphs(text: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    for line in text.lines() {
        match paragraphs.last_mut() {
            Some(last) if !line.trim().is_empty() => {
                last.push_str(line);
                last.push('\n');
            }
            Some(last) if last.is_empty() => {}
            _ => paragraphs.push(String::new()),
        }
    }
    paragraphs
}

#[cfg(test)]
mod tests;
