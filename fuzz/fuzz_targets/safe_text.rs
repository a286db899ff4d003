//! Any bytes, made safe: the properties of `src/model/text/properties.rs` hold.
#![no_main]

#[path = "../../src/model/text/properties.rs"]
mod properties;
#[path = "../../src/model/text.rs"]
mod text;

libfuzzer_sys::fuzz_target!(|raw: &[u8]| {
    if let Err(broken) = properties::check(raw, |raw| text::SafeText::bytes(raw).into()) {
        panic!("{broken}");
    }
});
