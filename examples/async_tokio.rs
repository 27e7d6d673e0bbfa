//! Async receiving on tokio: two tasks share the prompts of a work queue, and answer with streams.
//!
//! `cargo run --release --features async --example async_tokio`

use std::time::Duration;

use splinter_bus::{AsyncWorkQueue, Bus, Message, Store};
use tokio_stream::StreamExt;

#[derive(Message, serde::Serialize, serde::Deserialize)]
#[message(kind = "query")]
struct Prompt {
    text: String,
}

#[derive(Message, serde::Serialize, serde::Deserialize)]
#[message(kind = "response")]
struct Token {
    text: String,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Takes prompts from the queue, and publishes each answer word by word as one stream.
async fn answer(prompts: AsyncWorkQueue<Prompt>, answers: Bus<Token>) -> Result<(), Error> {
    let mut publisher = answers.publisher("answers")?.from("model");
    loop {
        let prompt = prompts.recv().await?;
        let mut words = publisher.stream(prompt.envelope().id());
        for word in prompt.text.split_whitespace().rev() {
            words.send(&Token { text: word.to_owned() })?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        words.finish(&Token { text: ".".to_owned() })?;
        prompt.acknowledge()?;
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let name = format!("async_tokio_{}", std::process::id());
    let prompts: Bus<Prompt> = Bus::create(name.as_str())?;
    let answers: Bus<Token> = Bus::on(prompts.store().clone());
    let mut tokens = answers.subscribe("answers")?.into_async()?;
    for _ in 0..2 {
        tokio::spawn(answer(prompts.work_queue("prompts")?.into_async()?, answers.clone()));
    }
    let sent = prompts.publish("prompts", &Prompt { text: "blue sky the is Why".into() })?;
    while let Some(token) = tokens.next().await {
        let token = token?;
        print!("{} ", token.text);
        if token.envelope().id() == sent.id && token.envelope().eof() {
            break;
        }
    }
    println!();
    Ok(Store::remove(name.as_str()).map(drop)?)
}
