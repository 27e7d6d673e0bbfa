//! The derive macros of splinter-bus.
