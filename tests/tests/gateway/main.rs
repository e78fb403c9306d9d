//! The gateway against real parts: what it streams, whom it lets in, what it shows of the lab.

mod crowd;
mod door;
mod lab_control;
mod socket;
mod stream;
mod views;
