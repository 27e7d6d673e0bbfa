//! Version 1 of the messages of a shop.

pub mod rows;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use splinter_bus::{Message, Schema};

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Order {
    pub number: u16,
    pub customer: Customer,
    pub items: Vec<Item>,
    pub prices: BTreeMap<String, Price>,
    pub state: State,
    #[serde(default)]
    pub comment: String,
}

#[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
pub struct Customer {
    pub name: String,
    pub city: String,
}

#[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
pub struct Item {
    pub name: String,
    pub count: u16,
}

#[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
pub struct Price {
    pub cents: u32,
}

#[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
pub enum State {
    Open,
    Paid {
        by: String,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Notice {
    pub text: String,
}

/// The order of this number, as the programs publish it.
pub fn order(number: u32) -> Order {
    Order {
        number: number as u16,
        customer: Customer { name: "Ada".into(), city: "London".into() },
        items: vec![Item { name: "tea".into(), count: 2 }],
        prices: BTreeMap::from([("tea".into(), Price { cents: 350 })]),
        state: if number.is_multiple_of(2) { State::Open } else { State::Paid { by: "card".into() } },
        comment: "ring twice".into(),
    }
}

/// The notice of this number, as the programs publish it.
pub fn notice(number: u32) -> Notice {
    Notice { text: format!("notice {number}") }
}
