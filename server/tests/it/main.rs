//! The server from outside, on both databases, and the rules of the house.

// Tells clippy that helpers are test code too.
#![cfg(test)]

#[macro_use]
mod databases;

mod arranged;
mod authorised;
mod authority;
mod backend;
mod binary;
mod bundles;
mod ccd;
mod client;
mod clients;
mod commands;
mod commands_carried;
mod commands_export;
mod commands_import;
mod commands_import_foreign;
mod commands_verify;
mod connections;
mod convert;
mod database_gone;
mod deliveries;
mod disk_full;
mod documents;
mod documents_roads;
mod durability;
mod facade;
mod facade_messages;
mod facade_patients;
mod faults;
mod folders;
mod folders_sftp;
mod front;
mod house;
mod http_tls;
mod kiln;
mod leaks;
mod lifecycle;
mod logs;
mod messages;
mod messages_api;
mod messages_kept;
mod messages_material;
mod metrics;
mod migrations;
mod mllp;
mod mllp_limits;
mod mllp_tls;
mod packed;
mod panics;
mod parameters;
mod parameters_together;
mod races;
mod receiver;
mod rest;
mod rsa_key;
mod scenarios;
mod search;
mod search_bundles;
mod search_contained;
mod search_explain;
mod search_includes;
mod search_pages;
mod search_plans;
mod search_system;
mod search_time;
mod send;
mod smallest;
mod store;
mod subscriptions;
mod text_search;
mod topics;
mod truth;
