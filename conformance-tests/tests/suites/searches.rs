//! Searches over data of others, held against the second evaluator: the exact ids, the order, the totals, what is included.

mod loaded;
mod mock_health;
mod us_core;
