//! A word n-gram model, trained when the program starts.
//!
//! It keeps the corpus as a row of word numbers and, for each run of up to
//! three words, the places that follow it. The next word is drawn from those
//! places; shorter runs count less the more words they leave out ("stupid
//! backoff"). Places in paragraphs that share rare words with the prompt weigh
//! more, which keeps an answer to its topic.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;

use super::random::{Random, hash};
use super::words::{ends_sentence, is_word, stands_apart, words};
use super::{Model, ModelError};

/// The longest run of words that the next word depends on.
const CONTEXT: usize = 3;
/// What a run counts compared with the one that is one word longer.
const BACKOFF: f64 = 0.2;
/// Below 1 prefers the likely words, above 1 the rare ones.
const TEMPERATURE: f64 = 0.8;
/// How much more a place in the most related paragraph counts than one in an
/// unrelated paragraph.
const TOPIC: f64 = 60.0;
/// What four words in a row count that have been said before. A third time they
/// count nothing, or an answer could run in circles.
const REPETITION: f64 = 0.02;
/// An answer ends at the first end of a sentence after this many words.
const LONG_ENOUGH: u32 = 24;

/// Words that a prompt is made of, whatever it is about.
const ASKING: &[&str] = &[
    "a", "about", "an", "and", "answer", "are", "as", "at", "be", "by", "can", "could", "describe", "did", "do",
    "does", "explain", "few", "for", "from", "give", "good", "how", "i", "in", "is", "it", "long", "me", "my", "not",
    "of", "on", "or", "please", "short", "should", "so", "tell", "that", "the", "there", "they", "this", "to", "was",
    "we", "were", "what", "when", "where", "which", "who", "why", "will", "with", "word", "words", "would", "write",
    "you", "your",
];

type Word = u32;

/// The words before an answer, and the first of the answer if it is settled.
struct Opening {
    context: Vec<Word>,
    first: Option<Word>,
}

/// A model of up to four words at a time. The same corpus, seed and prompt
/// give the same answer.
pub(crate) struct NgramModel {
    name: String,
    seed: u64,
    numbers: HashMap<String, Word>,
    spellings: Vec<String>,
    corpus: Vec<Word>,
    /// The paragraph of each word of the corpus.
    paragraphs: Vec<u32>,
    /// The places that follow a run of one to `CONTEXT` words.
    followers: HashMap<Box<[Word]>, Vec<u32>>,
    /// The paragraphs that have a word with this stem.
    topics: HashMap<String, BTreeSet<u32>>,
}

impl NgramModel {
    /// A model trained on the text that comes with this example.
    pub(crate) fn built_in() -> Self {
        Self::train("corpus.txt", include_str!("../../../corpus.txt")).expect("the built-in corpus is prose")
    }

    /// Trains a model on `text`, in which blank lines separate paragraphs.
    /// `name` is for people.
    ///
    /// # Errors
    ///
    /// If there are no words in the text, or more than `u32::MAX`.
    pub(crate) fn train(name: &str, text: &str) -> Result<Self, ModelError> {
        let mut model = Self {
            name: String::new(),
            seed: 0,
            numbers: HashMap::new(),
            spellings: Vec::new(),
            corpus: Vec::new(),
            paragraphs: Vec::new(),
            followers: HashMap::new(),
            topics: HashMap::new(),
        };
        let mut spellings = Spellings::default();
        for (paragraph, text) in (0..).zip(paragraphs(text)) {
            for token in words(&text) {
                let number = model.number(token);
                let opens = model.paragraphs.last() != Some(&paragraph)
                    || model.corpus.last().is_none_or(|&word| model.ends_sentence(word));
                spellings.count(number, token, opens);
                if is_word(token) {
                    model.topics.entry(stem(token)).or_default().insert(paragraph);
                }
                model.corpus.push(number);
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
        spellings.settle(&mut model.spellings);
        for (place, at) in (1..model.corpus.len()).zip(1..) {
            for length in 1..=CONTEXT.min(place) {
                let run = &model.corpus[place - length..place];
                match model.followers.get_mut(run) {
                    Some(places) => places.push(at),
                    None => {
                        model.followers.insert(run.into(), vec![at]);
                    }
                }
            }
        }
        model.name =
            format!("n-gram model of {name} ({} words, {} different)", model.corpus.len(), model.spellings.len());
        Ok(model)
    }

    /// Other seeds give other answers to the same prompt; the default is 0.
    pub(crate) fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    fn number(&mut self, token: &str) -> Word {
        let key = token.to_lowercase();
        if let Some(&number) = self.numbers.get(&key) {
            return number;
        }
        let number = Word::try_from(self.spellings.len()).expect("fewer than 2^32 different words");
        self.spellings.push(key.clone());
        self.numbers.insert(key, number);
        number
    }

    /// How much each paragraph has to do with the prompt: up to 1, and 0 for
    /// one that shares no word with it.
    fn relevance(&self, prompt: &str) -> Vec<f64> {
        let count = self.paragraphs.last().map_or(0, |&last| last as usize + 1);
        let mut relevance = vec![0.0; count];
        for stem in topical_stems(prompt) {
            for &paragraph in self.topics.get(&stem).into_iter().flatten() {
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

    /// Where the answer starts: after the last words of the prompt if it stops
    /// in the middle of a sentence, else with a sentence of the corpus that has
    /// to do with it.
    fn opening(&self, prompt: &str, relevance: &[f64], random: &mut Random) -> Opening {
        let mut end: Vec<Word> = Vec::new();
        for token in words(prompt) {
            match self.numbers.get(&token.to_lowercase()) {
                Some(&number) => end.push(number),
                None => end.clear(),
            }
            if end.len() > CONTEXT {
                end.remove(0);
            }
        }
        let in_sentence = end.last().is_some_and(|&last| {
            let places = self.followers.get(&[last][..]).map_or(&[][..], Vec::as_slice);
            !self.ends_sentence(last) && places.iter().any(|&place| self.is_word_at(place as usize))
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
                let rarity: f64 = shared.iter().map(|stem| self.rarity(stem)).sum();
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

    /// The places of the first words of the sentences.
    fn sentence_starts(&self) -> Vec<usize> {
        let mut starts = Vec::new();
        let mut fresh = true;
        for place in 0..self.corpus.len() {
            fresh |= place > 0
                && (self.paragraphs[place] != self.paragraphs[place - 1] || self.ends_sentence(self.corpus[place - 1]));
            if fresh && self.is_word_at(place) {
                starts.push(place);
                fresh = false;
            }
        }
        starts
    }

    /// How much it says about a paragraph that it has a word with this stem.
    fn rarity(&self, stem: &str) -> f64 {
        let all = self.paragraphs.last().map_or(0.0, |&last| f64::from(last) + 1.0);
        self.topics.get(stem).map_or(0.0, |having| ((all + 1.0) / having.len() as f64).ln())
    }

    fn is_word_at(&self, place: usize) -> bool {
        is_word(self.spelling(self.corpus[place]))
    }

    fn spelling(&self, word: Word) -> &str {
        &self.spellings[word as usize]
    }

    fn ends_sentence(&self, word: Word) -> bool {
        ends_sentence(self.spelling(word))
    }

    /// What may follow `text`, with its weight. In a `BTreeMap`, so that
    /// the order, and with it the answer, is the same every time.
    fn candidates(&self, text: &[Word], relevance: &[f64]) -> BTreeMap<Word, f64> {
        let mut candidates = BTreeMap::new();
        let mut backoff = 1.0;
        for length in (1..=CONTEXT.min(text.len())).rev() {
            let run = &text[text.len() - length..];
            let Some(places) = self.followers.get(run) else {
                continue;
            };
            let mut scores: BTreeMap<Word, f64> = BTreeMap::new();
            let mut total = 0.0;
            for &place in places {
                let related = relevance[self.paragraphs[place as usize] as usize];
                let weight = 1.0 + TOPIC * related * related;
                *scores.entry(self.corpus[place as usize]).or_default() += weight;
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
        let relevance = self.relevance(prompt);
        let Opening { context: mut text, mut first } = self.opening(prompt, &relevance, &mut random);
        let mut opens = first.is_some();
        let mut said: HashMap<[Word; CONTEXT + 1], u8> = HashMap::new();

        for emitted in 1..=max_tokens {
            let mut candidates = match first.take() {
                Some(word) => BTreeMap::from([(word, 1.0)]),
                None => self.candidates(&text, &relevance),
            };
            candidates.retain(|&word, weight| {
                let times = run(&text, word).and_then(|run| said.get(&run)).copied();
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
            let word = *candidates.keys().nth(drawn).expect("one of the candidates is drawn");

            let spelling = self.spelling(word);
            let mut piece = String::with_capacity(spelling.len() + 1);
            if emitted > 1 && stands_apart(spelling) {
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
            if opens && emitted >= LONG_ENOUGH {
                break;
            }
            if let Some(run) = run(&text, word) {
                *said.entry(run).or_default() += 1;
            }
            text.push(word);
        }
        Ok(())
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// The last words of `text` and then `word`; `None` if the text is too short.
fn run(text: &[Word], word: Word) -> Option<[Word; CONTEXT + 1]> {
    let &[a, b, c] = text.last_chunk::<CONTEXT>()?;
    Some([a, b, c, word])
}

/// Counts how a word is written inside sentences, where a capital means a name.
#[derive(Default)]
struct Spellings(HashMap<Word, BTreeMap<String, u32>>);

impl Spellings {
    fn count(&mut self, word: Word, token: &str, opens_sentence: bool) {
        if !opens_sentence {
            *self.0.entry(word).or_default().entry(token.to_owned()).or_default() += 1;
        }
    }

    fn settle(self, spellings: &mut [String]) {
        for (word, counts) in self.0 {
            if let Some((usual, _)) = counts.into_iter().max_by_key(|&(_, count)| count) {
                spellings[word as usize] = usual;
            }
        }
    }
}

/// The blocks of lines that blank lines separate.
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

/// Brings a word and its plural together.
fn stem(token: &str) -> String {
    let lower = token.to_lowercase();
    let singular = lower.strip_suffix("'s").or_else(|| lower.strip_suffix('s'));
    match singular {
        Some(singular) if singular.len() > 2 && !singular.ends_with('s') => singular.to_owned(),
        _ => lower,
    }
}

/// The stems of those words of a prompt that say what it is about.
fn topical_stems(prompt: &str) -> BTreeSet<String> {
    words(prompt).filter(|token| is_word(token) && !ASKING.contains(&token.to_lowercase().as_str())).map(stem).collect()
}

#[cfg(test)]
mod tests;
