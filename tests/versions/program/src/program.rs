// `PROGRAM ROLE STORE KIND FIRST COUNT`: publishes messages, or receives as many. The kind is also the key. A receiver
// says `ready`, and then one line for each message: the message or the error; or it says `refused`, and why.
//
// Without a bus: `PROGRAM encode - KIND FIRST COUNT` prints a line for each message with its type and its payload in
// hexadecimal digits, and `PROGRAM decode - KIND - -` reads such lines.

use std::fmt::Debug;
use std::io::Write;
use std::time::Duration;

use splinter_bus::message::{DecodeOwned, Message, MessageType};
use splinter_bus::schema::Compatibility;
use splinter_bus::store::Store;
use splinter_bus::{Bus, SubscribeOptions};

const TIMEOUT: Duration = Duration::from_secs(20);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [role, store, kind, first, count] = &arguments[..] else { panic!("{arguments:?}: five are due") };
    let numbers = match (first.parse::<u32>(), count.parse::<u32>()) {
        (Ok(first), Ok(count)) => first..first + count,
        _ => 0..0,
    };
    macro_rules! run_by_kind {
        ($($row:ident)*) => {
            match &**kind {
                "order" => run(role, store, kind, numbers, messages::order),
                "notice" => run(role, store, kind, numbers, messages::notice),
                $(stringify!($row) => run(role, store, kind, numbers, messages::rows::$row::sample),)*
                _ => panic!("there are no messages `{kind}`"),
            }
        };
    }
    run_by_kind! {
        AddedOption AddedDefault AddedRequired Removed RemovedOption Reordered RenamedField Widened Optional VariantAdded
        OtherVariant VariantRemoved VariantsReordered Renamed InnerRenamed VersionRaised Recoded Plain Retyped Floated Strict
        Signed Doubled Listed RemovedToOther Paged
    }
}

fn run<T: DecodeOwned + Debug>(
    role: &str,
    store: &str,
    key: &str,
    numbers: std::ops::Range<u32>,
    make: impl Fn(u32) -> T,
) {
    if role == "encode" {
        return numbers.for_each(|number| encode(&make(number)));
    }
    if role == "decode" {
        return std::io::stdin().lines().for_each(|line| say(&decode::<T>(&line.expect("text"))));
    }
    let bus = Bus::<T>::on(Store::open(store).expect("the store of the test"));
    match role {
        "publish" => {
            let mut publisher = bus.publisher(key).expect("a key");
            for number in numbers {
                publisher.publish_timeout(&make(number), TIMEOUT).expect("space within the time");
            }
        }
        "subscribe" | "exact" => {
            let options = SubscribeOptions::new().lossless();
            let options = if role == "exact" { options.exact() } else { options };
            let mut subscriber = match bus.subscribe_with(key, &options) {
                Ok(subscriber) => subscriber,
                Err(error) => return say(&format!("refused: {error}")),
            };
            println!("ready");
            for _ in numbers {
                match subscriber.recv_timeout(TIMEOUT) {
                    Ok(Some(message)) => say(&format!("{:?}", *message)),
                    Ok(None) => say("timeout"),
                    Err(error) => say(&format!("error: {error}")),
                }
            }
        }
        "work" => {
            let mut queue = match bus.work_queue(key) {
                Ok(queue) => queue,
                Err(error) => return say(&format!("refused: {error}")),
            };
            println!("ready");
            for _ in numbers {
                match queue.recv_timeout(TIMEOUT) {
                    Ok(Some(job)) => {
                        say(&format!("{:?}", *job));
                        job.acknowledge().expect("a job of this worker");
                    }
                    Ok(None) => say("timeout"),
                    Err(error) => say(&format!("error: {error}")),
                }
            }
        }
        "newest" => {
            println!("ready");
            match bus.get(key) {
                Ok(message) => say(&format!("{:?}", *message.expect("a message"))),
                Err(error) => say(&format!("error: {error}")),
            }
        }
        _ => panic!("there is no role `{role}`"),
    }
}

/// Prints a text as one line.
fn say(text: &str) {
    println!("{}", text.replace('\n', " | "));
    std::io::stdout().flush().expect("a test that reads");
}

fn encode<T: Message>(message: &T) {
    let mut payload = Vec::new();
    message.encode(&mut payload).expect("it can be encoded");
    say(&format!("{} {}", to_hex(&T::message_type().to_bytes()), to_hex(&payload)));
}

fn decode<T: DecodeOwned + Debug>(line: &str) -> String {
    let (ty, payload) = line.split_once(' ').expect("a type and a payload");
    let sender = MessageType::from_bytes(&from_hex(ty)).expect("a type");
    if let Compatibility::No(difference) = sender.compatible_with(&T::message_type()) {
        return format!("error: {difference}");
    }
    match T::decode_by(sender.schema(), &from_hex(payload)) {
        Ok(message) => format!("{message:?}"),
        Err(error) => format!("error: {error}"),
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("two digits");
    (0..text.len()).step_by(2).map(digits).collect()
}
