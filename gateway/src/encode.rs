//! What a step of the stream looks like to a client: the message ([`mod@format`]), the frame around it ([`frame`]), and
//! both together ([`encoder`]). Pure.

pub mod encoder;
pub mod format;
pub mod frame;
