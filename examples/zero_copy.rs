//! Zero-copy messages: an embedding is written and read in place, and a prompt borrows its text.
//!
//! `cargo run --release --example zero_copy`

use splinter_bus::store::StoreOptions;
use splinter_bus::{Bus, Message, Store};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Its memory is its payload, without encoding.
#[derive(Message, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[message(encoding = "zerocopy", checksum = false)]
#[repr(C)]
struct Embedding {
    prompt: u64,
    values: [f32; 1022],
}

/// Borrows its text from the payload.
#[derive(Message, serde::Serialize, serde::Deserialize)]
struct Prompt<'a> {
    number: u64,
    text: &'a str,
}

fn main() -> Result<(), splinter_bus::Error> {
    let name = format!("zero_copy_{}", std::process::id());
    let store = StoreOptions::new().slots(8).create(name.as_str())?;
    let (prompts, embeddings) = (Bus::<Prompt>::on(store.clone()), Bus::<Embedding>::on(store));

    let mut prompt_subscriber = prompts.subscribe("prompts")?;
    prompts.publish("prompts", &Prompt { number: 7, text: "Why is the sky blue?" })?;
    let sample = prompt_subscriber.recv_sample()?;
    let prompt = sample.view()?; // The text is borrowed from the store. `sample` keeps it.
    println!("prompt {} from {}: {:?}", prompt.number, sample.envelope().from(), prompt.text);

    let mut publisher = embeddings.publisher("embeddings")?;
    let mut embedding_subscriber = embeddings.subscribe("embeddings")?;
    let mut embedding = publisher.loan_zeroed()?; // A cell in the store. Dropping it publishes nothing.
    embedding.prompt = prompt.number;
    for (value, byte) in embedding.values.iter_mut().zip(prompt.text.bytes()) {
        *value = f32::from(byte) / 255.0;
    }
    embedding.send()?;

    let newest = embedding_subscriber.recv_sample()?;
    for _ in 0..1000 {
        publisher.loan_zeroed()?.send()?; // Newer messages do not overwrite the sample.
    }
    let in_place = if newest.is_in_place() { "in place" } else { "as a copy" };
    println!("embedding of prompt {}, {in_place}: {:.2?} ...", newest.prompt, &newest.values[..4]);
    Ok(Store::remove(name.as_str()).map(drop)?)
}
