use super::*;

mod fuzz;
