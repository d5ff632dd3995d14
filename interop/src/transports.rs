//! How messages go to others: what is said, what may be answered, and in which order. No socket, no clock.

pub mod conversation;
pub mod row;
