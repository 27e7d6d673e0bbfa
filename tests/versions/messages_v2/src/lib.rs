//! Version 2 of the messages of a shop: what services change from one version to the next.

pub mod rows;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use splinter_bus::{Message, Schema};

/// Without the comment, in another order, with a wider number, and with two fields more.
#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Order {
    pub customer: Customer,
    pub number: u32,
    #[serde(default = "one")]
    pub priority: u8,
    pub coupon: Option<String>,
    pub state: State,
    pub prices: BTreeMap<String, Price>,
    pub items: Vec<Item>,
}

fn one() -> u8 {
    1
}

#[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
pub struct Customer {
    pub city: String,
    pub name: String,
    pub email: Option<String>,
}

#[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
pub struct Item {
    pub count: u32,
    pub name: String,
}

#[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
pub struct Price {
    pub cents: u64,
    #[serde(default)]
    pub taxed: bool,
}

#[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
pub enum State {
    Open,
    Shipped {
        with: String,
    },
    Paid {
        by: String,
    },
    #[serde(other)]
    Unknown,
}

/// The notice, under another name.
#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
#[message(alias = "Notice")]
pub struct Announcement {
    pub text: String,
    #[serde(default)]
    pub urgent: bool,
}

/// The order of this number, as the programs publish it.
pub fn order(number: u32) -> Order {
    Order {
        customer: Customer { city: "London".into(), name: "Ada".into(), email: None },
        number,
        priority: 3,
        coupon: Some("spring".into()),
        state: if number.is_multiple_of(2) { State::Open } else { State::Shipped { with: "bike".into() } },
        prices: BTreeMap::from([("tea".into(), Price { cents: 350, taxed: true })]),
        items: vec![Item { count: 2, name: "tea".into() }],
    }
}

/// The announcement of this number, as the programs publish it.
pub fn notice(number: u32) -> Announcement {
    Announcement { text: format!("announcement {number}"), urgent: true }
}
