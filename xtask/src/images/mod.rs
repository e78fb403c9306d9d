//! The Docker backend's images: which there are ([`catalogue`]), which of them the daemon has and
//! which of those run ([`inventory`]), and the four ways to get them: from a registry by digest or
//! its mirror ([`pull`]), from a bundle file ([`bundle`]), or made here ([`build`]).

pub mod build;
pub mod bundle;
pub mod catalogue;
pub mod inventory;
pub mod pull;
mod transfer;
pub mod verify;

pub use catalogue::{Catalogue, ImageSpec, Network};
pub use inventory::{ImageUsed, Inventory, Origin, Records};
