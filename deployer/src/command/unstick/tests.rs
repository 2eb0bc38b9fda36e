//! The command against a scripted endpoint.
