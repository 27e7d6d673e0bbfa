use std::collections::HashSet;

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
fn a_corpus_without_words_is_refused() {
    for text in ["", "  \n\n \t", "... -- !"] {
        let error = NgramModel::train("empty.txt", text).err().unwrap().to_string();
        assert!(error.contains("empty.txt has no words"), "{error}");
    }
}

#[test]
fn a_corpus_of_one_word_is_not_repeated() {
    let mut model = NgramModel::train("one", "echo").unwrap();
    assert_eq!(answer(&mut model, "Hello?"), "Echo");
    assert_eq!(answer(&mut model, "echo"), "Echo");
    assert_eq!(answer(&mut model, ""), "Echo");
}

#[test]
fn a_single_sentence_is_reproduced_exactly() {
    let text = "Look up, I say; the sky is well-lit: don't you see 3.5 suns - or more!";
    let mut model = NgramModel::train("one sentence", text).unwrap();
    assert_eq!(answer(&mut model, "Why?"), text);
}

#[test]
fn an_unfinished_prompt_is_continued() {
    let mut model = NgramModel::train("two", "A cat drinks milk. Two dogs chase the red ball.").unwrap();
    assert_eq!(pieces(&mut model, "I saw two dogs", 2), ["chase", " the"]);
    assert_eq!(pieces(&mut model, "A CAT", 2), ["drinks", " milk"]);
}

#[test]
fn a_complete_sentence_without_full_stop_is_not_continued() {
    let text = "A cat drinks milk.\n\nTwo dogs chase the red ball.";
    let mut model = NgramModel::train("two", text).unwrap();
    assert_eq!(pieces(&mut model, "See the red ball", 2).concat(), "Two dogs");
}

#[test]
fn an_answer_is_about_the_topic_of_the_question() {
    let text = "A cat drinks milk.\n\nTwo dogs chase the red ball.\n\nRain fills a pond.";
    let mut model = NgramModel::train("three", text).unwrap();
    for seed in 0..20 {
        model = model.seed(seed);
        assert_eq!(pieces(&mut model, "What does a dog do?", 3).concat(), "Two dogs chase");
        assert_eq!(pieces(&mut model, "Tell me about the POND!", 2).concat(), "Rain fills");
    }
}

#[test]
fn a_prompt_that_ends_in_an_unknown_word_still_has_a_topic() {
    let text = "A cat drinks milk.\n\nTwo dogs chase the red ball.";
    let mut model = NgramModel::train("two", text).unwrap();
    assert_eq!(pieces(&mut model, "the dogs of Wolverhampton", 2).concat(), "Two dogs");
}

#[test]
fn the_same_prompt_gets_the_same_answer() {
    let first = answer(&mut NgramModel::built_in(), "Why is the sky blue?");
    assert_eq!(first, answer(&mut NgramModel::built_in(), "Why is the sky blue?"));
}

#[test]
fn seeds_give_different_answers() {
    let answers: HashSet<String> =
        (0..8).map(|seed| answer(&mut NgramModel::built_in().seed(seed), "Why is the sky blue?")).collect();
    assert!(answers.len() > 4, "{answers:?}");
}

#[test]
fn an_answer_has_at_most_max_tokens() {
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
    for prompt in ["What is a cloud?", "Why do friends write letters?", "Was ist das?", ""] {
        let answer = pieces(&mut model, prompt, 1000);
        assert!(answer.len() >= MIN_WORDS as usize, "{answer:?}");
        assert!(ends_sentence(answer.last().unwrap()), "{answer:?}");
    }
}

#[test]
fn emit_can_stop_an_answer() {
    let mut count = 0;
    NgramModel::built_in()
        .generate("What is a cloud?", 50, &mut |_| {
            count += 1;
            if count == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!(count, 3);
}

#[test]
fn an_answer_does_not_loop() {
    let mut model = NgramModel::train("circle", "round and round and round and round").unwrap();
    let answer = pieces(&mut model, "round", 10_000);
    assert!(answer.len() < 20, "{answer:?}");
}

#[test]
fn a_corpus_may_start_with_a_mark() {
    let mut model = NgramModel::train("list", "- bread\n- milk").unwrap();
    assert_eq!(pieces(&mut model, "What?", 3).concat(), "Bread - milk");
}

#[test]
fn a_corpus_may_use_any_script() {
    let mut model = NgramModel::train("mixed", "Žluťoučký kůň pěl ódy. élan vital 🚲 नमस्ते दुनिया।").unwrap();
    assert_eq!(pieces(&mut model, "žluťoučký KŮŇ", 3).concat(), "pěl ódy.");
    assert_eq!(pieces(&mut model, "vital", 4).concat(), "🚲 नमस्ते दुनिया।");
    assert_eq!(pieces(&mut model, "Vital!", 2).concat(), "Élan vital");
}

#[test]
fn a_very_long_prompt_is_accepted() {
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
    assert_eq!(model.spellings[model.ids["bread"] as usize], "bread");
}
