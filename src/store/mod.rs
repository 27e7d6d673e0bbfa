//! The store.
mod ring;
mod word;
