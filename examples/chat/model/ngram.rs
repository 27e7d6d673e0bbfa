//! A word n-gram model, trained when the program starts.
//!
//! It keeps the corpus as a row of word numbers and, for each run of up to
//! three words, the places that follow it. The next word is drawn from those
//! places; shorter runs count less the more words they leave out ("stupid
//! backoff"). Places in paragraphs that share rare words with the prompt weigh
//! more, which keeps an answer to its topic.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;

use super::words::{ends_sentence, is_word, stands_apart, words};
use super::{Model, ModelError};

/// The longest run of words that the next word depends on.
const CONTEXT: usize = 3;
/// What a run counts compared with the one that is one word longer.
const BACKOFF: f64 = 0.3;
/// Below 1 prefers the likely words, above 1 the rare ones.
const TEMPERATURE: f64 = 0.8;
/// How much more a place in the most related paragraph counts than one in an
/// unrelated paragraph.
const TOPIC: f64 = 60.0;
/// An answer ends at the first end of a sentence after this many words.
const LONG_ENOUGH: u32 = 24;

/// Words that a prompt is made of, whatever it is about.
const ASKING: &[&str] = &[
    "a", "about", "an", "and", "are", "can", "could", "describe", "did", "do", "does", "explain",
    "for", "give", "how", "i", "in", "is", "it", "me", "my", "of", "on", "or", "please", "should",
    "tell", "that", "the", "to", "was", "were", "what", "when", "where", "which", "who", "why",
    "will", "with", "would", "write", "you", "your",
];

type Word = u32;

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
        Self::train("corpus.txt", include_str!("../../corpus.txt"))
            .expect("the built-in corpus is prose")
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
                    || model
                        .corpus
                        .last()
                        .is_none_or(|&word| model.ends_sentence(word));
                spellings.count(number, token, opens);
                if is_word(token) {
                    model
                        .topics
                        .entry(stem(token))
                        .or_default()
                        .insert(paragraph);
                }
                model.corpus.push(number);
                model.paragraphs.push(paragraph);
            }
        }
        if !model.spellings.iter().any(|token| is_word(token)) {
            return Err(ModelError::EmptyCorpus {
                name: name.to_owned(),
            });
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
        model.name = format!(
            "n-gram model of {name} ({} words, {} different)",
            model.corpus.len(),
            model.spellings.len()
        );
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
        let stems: BTreeSet<String> = words(prompt)
            .filter(|token| is_word(token) && !ASKING.contains(&token.to_lowercase().as_str()))
            .map(stem)
            .collect();
        let mut relevance = vec![0.0; count];
        for paragraphs in stems.iter().filter_map(|stem| self.topics.get(stem)) {
            let rarity = rarity(paragraphs.len(), count);
            for &paragraph in paragraphs {
                relevance[paragraph as usize] += rarity;
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

    /// The words that the answer continues: the last of the prompt if it stops
    /// in the middle of a sentence, else those before a sentence of the corpus
    /// that has to do with it. Empty if the answer starts with the corpus.
    fn opening(&self, prompt: &str, relevance: &[f64], random: &mut Random) -> Vec<Word> {
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
            let places = self
                .followers
                .get(&[last][..])
                .map_or(&[][..], Vec::as_slice);
            !self.ends_sentence(last)
                && places
                    .iter()
                    .any(|&place| is_word(self.spelling(self.corpus[place as usize])))
        });
        if in_sentence {
            return end;
        }

        let stems: BTreeSet<String> = words(prompt).map(stem).collect();
        let mut starts = Vec::new();
        let mut weights = Vec::new();
        for start in (0..self.corpus.len()).filter(|&place| self.opens_sentence(place)) {
            let shared: BTreeSet<String> = self.corpus[start..]
                .iter()
                .take_while(|&&word| !self.ends_sentence(word))
                .map(|&word| stem(self.spelling(word)))
                .filter(|stem| stems.contains(stem) && !ASKING.contains(&stem.as_str()))
                .collect();
            let rarity: f64 = shared
                .iter()
                .filter_map(|stem| self.topics.get(stem))
                .map(|paragraphs| rarity(paragraphs.len(), relevance.len()))
                .sum();
            let paragraph = relevance[self.paragraphs[start] as usize];
            starts.push(start);
            weights.push((paragraph * (0.5 + rarity)).powi(4));
        }
        if weights.iter().all(|&weight| weight == 0.0) {
            weights.fill(1.0);
        }
        let start = starts[random.draw(weights.iter().copied())];
        self.corpus[start.saturating_sub(CONTEXT)..start].to_vec()
    }

    fn spelling(&self, word: Word) -> &str {
        &self.spellings[word as usize]
    }

    fn ends_sentence(&self, word: Word) -> bool {
        ends_sentence(self.spelling(word))
    }

    fn opens_sentence(&self, place: usize) -> bool {
        place == 0
            || self.paragraphs[place] != self.paragraphs[place - 1]
            || self.ends_sentence(self.corpus[place - 1])
    }

    /// What may follow `context`, with its weight. In a `BTreeMap`, so that
    /// the order, and with it the answer, is the same every time.
    fn candidates(&self, context: &[Word], relevance: &[f64]) -> BTreeMap<Word, f64> {
        let mut candidates = BTreeMap::new();
        let mut backoff = 1.0;
        for length in (1..=CONTEXT.min(context.len())).rev() {
            let run = &context[context.len() - length..];
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
        let mut random = Random(hash(prompt) ^ self.seed);
        let relevance = self.relevance(prompt);
        let mut context = self.opening(prompt, &relevance, &mut random);
        let mut opens = context.last().is_none_or(|&word| self.ends_sentence(word));
        // No four words come twice in a row, or an answer could run in circles.
        let mut said: HashSet<[Word; CONTEXT + 1]> = HashSet::new();

        for emitted in 1..=max_tokens {
            let mut candidates = if context.is_empty() {
                BTreeMap::from([(self.corpus[0], 1.0)])
            } else {
                self.candidates(&context, &relevance)
            };
            candidates
                .retain(|&word, _| run(&context, word).is_none_or(|run| !said.contains(&run)));
            if emitted == 1 {
                candidates.retain(|&word, _| is_word(self.spelling(word)));
            }
            if candidates.is_empty() {
                break;
            }
            let weights = candidates
                .values()
                .map(|weight| weight.powf(1.0 / TEMPERATURE));
            let drawn = random.draw(weights);
            let word = *candidates
                .keys()
                .nth(drawn)
                .expect("one of the candidates is drawn");

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
            said.extend(run(&context, word));
            context.push(word);
            if context.len() > CONTEXT {
                context.remove(0);
            }
        }
        Ok(())
    }

    fn name(&self) -> &str {
        &self.name
    }
}

fn run(context: &[Word], word: Word) -> Option<[Word; CONTEXT + 1]> {
    let before: [Word; CONTEXT] = context.try_into().ok()?;
    let [a, b, c] = before;
    Some([a, b, c, word])
}

/// Counts how a word is written inside sentences, where a capital means a name.
#[derive(Default)]
struct Spellings(HashMap<Word, BTreeMap<String, u32>>);

impl Spellings {
    fn count(&mut self, word: Word, token: &str, opens_sentence: bool) {
        if !opens_sentence {
            *self
                .0
                .entry(word)
                .or_default()
                .entry(token.to_owned())
                .or_default() += 1;
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

/// How much it says that a paragraph has a word which `having` of all have.
fn rarity(having: usize, all: usize) -> f64 {
    ((all + 1) as f64 / having as f64).ln()
}

/// FNV-1a: the same number on every machine and in every release.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// An index, drawn in proportion to the weights.
    fn draw(&mut self, weights: impl Iterator<Item = f64> + Clone) -> usize {
        let total: f64 = weights.clone().sum();
        let mut left = total * (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        let mut last = 0;
        for (index, weight) in weights.enumerate() {
            if left < weight {
                return index;
            }
            left -= weight;
            last = index;
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(model: &mut NgramModel, prompt: &str, max_tokens: u32) -> Vec<String> {
        let mut pieces = Vec::new();
        model
            .generate(prompt, max_tokens, &mut |piece| {
                pieces.push(piece.to_owned());
                ControlFlow::Continue(())
            })
            .unwrap();
        pieces
    }

    fn answer(model: &mut NgramModel, prompt: &str) -> String {
        pieces(model, prompt, 100).concat()
    }

    #[test]
    fn a_corpus_without_words_is_refused_by_name() {
        for text in ["", "  \n\n \t", "... -- !"] {
            let error = NgramModel::train("empty.txt", text)
                .err()
                .unwrap()
                .to_string();
            assert!(error.contains("empty.txt holds no words"), "{error}");
        }
    }

    #[test]
    fn a_corpus_of_one_word_is_said_once() {
        let mut model = NgramModel::train("one", "echo").unwrap();
        assert_eq!(answer(&mut model, "Hello?"), "Echo");
        assert_eq!(answer(&mut model, "echo"), "Echo");
        assert_eq!(answer(&mut model, ""), "Echo");
    }

    #[test]
    fn a_sentence_is_put_together_as_it_was_written() {
        let text = "Look up, I say; the sky is well-lit: don't you see 3.5 suns - or more!";
        let mut model = NgramModel::train("one sentence", text).unwrap();
        assert_eq!(answer(&mut model, "Why?"), text);
    }

    #[test]
    fn an_unfinished_prompt_is_continued() {
        let mut model =
            NgramModel::train("two", "A cat drinks milk. Two dogs chase the red ball.").unwrap();
        assert_eq!(pieces(&mut model, "I saw two dogs", 2), ["chase", " the"]);
        assert_eq!(pieces(&mut model, "A CAT", 2), ["drinks", " milk"]);
    }

    #[test]
    fn a_prompt_that_only_lacks_its_full_stop_is_not_continued() {
        let text = "A cat drinks milk.\n\nTwo dogs chase the red ball.";
        let mut model = NgramModel::train("two", text).unwrap();
        assert_eq!(
            pieces(&mut model, "See the red ball", 2).concat(),
            "Two dogs"
        );
    }

    #[test]
    fn a_question_is_answered_with_a_sentence_about_it() {
        let text = "A cat drinks milk.\n\nTwo dogs chase the red ball.\n\nRain fills a pond.";
        let mut model = NgramModel::train("three", text).unwrap();
        for seed in 0..20 {
            model = model.seed(seed);
            assert_eq!(
                pieces(&mut model, "What does a dog do?", 3).concat(),
                "Two dogs chase"
            );
            assert_eq!(
                pieces(&mut model, "Tell me about the POND!", 2).concat(),
                "Rain fills"
            );
        }
    }

    #[test]
    fn a_prompt_that_ends_in_an_unknown_word_still_has_a_topic() {
        let text = "A cat drinks milk.\n\nTwo dogs chase the red ball.";
        let mut model = NgramModel::train("two", text).unwrap();
        assert_eq!(
            pieces(&mut model, "the dogs of Wolverhampton", 2).concat(),
            "Two dogs"
        );
    }

    #[test]
    fn the_same_prompt_gets_the_same_answer() {
        let first = answer(&mut NgramModel::built_in(), "Why is the sky blue?");
        assert_eq!(
            first,
            answer(&mut NgramModel::built_in(), "Why is the sky blue?")
        );
    }

    #[test]
    fn another_seed_gives_another_answer() {
        let answers: HashSet<String> = (0..8)
            .map(|seed| {
                answer(
                    &mut NgramModel::built_in().seed(seed),
                    "Why is the sky blue?",
                )
            })
            .collect();
        assert!(answers.len() > 4, "{answers:?}");
    }

    #[test]
    fn an_answer_is_never_longer_than_asked_for() {
        let mut model = NgramModel::built_in();
        for max_tokens in [0, 1, 2, 17, 40] {
            let length = pieces(&mut model, "How does a river find the sea?", max_tokens).len();
            assert!(length <= max_tokens as usize);
        }
        assert!(pieces(&mut model, "Tell me about bread.", 0).is_empty());
    }

    #[test]
    fn a_long_answer_ends_with_a_sentence() {
        let mut model = NgramModel::built_in();
        for prompt in [
            "What is a cloud?",
            "Why do friends write letters?",
            "Was ist das?",
            "",
        ] {
            let answer = pieces(&mut model, prompt, 1000);
            assert!(answer.len() >= LONG_ENOUGH as usize, "{answer:?}");
            assert!(ends_sentence(answer.last().unwrap()), "{answer:?}");
        }
    }

    #[test]
    fn the_asker_can_stop_an_answer() {
        let mut count = 0;
        NgramModel::built_in()
            .generate("What is a cloud?", 50, &mut |_| {
                count += 1;
                if count == 3 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
            .unwrap();
        assert_eq!(count, 3);
    }

    #[test]
    fn an_answer_does_not_run_in_circles() {
        let mut model = NgramModel::train("circle", "round and round and round and round").unwrap();
        let answer = pieces(&mut model, "round", 10_000);
        assert!(answer.len() < 10, "{answer:?}");
    }

    #[test]
    fn texts_in_any_script_can_be_learnt() {
        let mut model =
            NgramModel::train("mixed", "Žluťoučký kůň pěl ódy. élan vital 🚲 नमस्ते दुनिया।").unwrap();
        assert_eq!(pieces(&mut model, "žluťoučký KŮŇ", 3).concat(), "pěl ódy.");
        assert_eq!(pieces(&mut model, "vital", 4).concat(), "🚲 नमस्ते दुनिया।");
        assert_eq!(pieces(&mut model, "Vital!", 2).concat(), "Élan vital");
    }

    #[test]
    fn a_very_long_prompt_is_only_longer_to_read() {
        let mut model = NgramModel::built_in();
        let mut prompt = "unheard-of wörds ".repeat(50_000);
        assert!(!answer(&mut model, &prompt).is_empty());
        prompt.push_str("and the river");
        assert!(!answer(&mut model, &prompt).is_empty());
    }

    #[test]
    fn names_keep_their_capital_and_other_words_lose_it() {
        let text = "Bread is baked by Anna. We thank Anna. Bread keeps.";
        let mut model = NgramModel::train("names", text).unwrap();
        assert_eq!(pieces(&mut model, "is baked by", 1), ["Anna"]);
        assert_eq!(model.spellings[model.numbers["bread"] as usize], "bread");
    }
}
