use splinter_bus::{Message, Publisher};

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct Prompt {
    text: String,
}

fn lend(publisher: &mut Publisher<Prompt>) {
    let loan = publisher.loan_zeroed();
}

fn main() {}
