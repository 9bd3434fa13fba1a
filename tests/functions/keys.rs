//! What keys are made of.
