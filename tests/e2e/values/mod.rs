//! Values at their limits: what is accepted comes back exactly, and everything else is rejected with its field.

mod dynamic;
mod every_field;
mod random;
mod round_trip;
