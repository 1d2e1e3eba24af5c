//! What a step says about itself, kept in the component's own bytes.
//!
//! `plugin build` asks the component once and writes the answer into a custom
//! section, so that a definition can be checked against the plugin's schemas
//! without compiling or running anything. The digest covers the section.

use crate::call::Description;

/// Name of the custom section.
const SECTION: &str = "lightapi:release/description";

/// Why a description cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    #[error("the component does not end with a whole section: it is cut off, or something was put behind it")]
    NoWholeSection,
    #[error("the component has two descriptions of itself")]
    Twice,
    #[error("the component's description of itself cannot be read: {0}")]
    Malformed(String),
}

/// The description in `component`; none if `plugin build` did not make it.
pub fn description_of(component: &[u8]) -> Result<Option<Description>, DescriptionError> {
    let mut found = None;
    for section in sections(component)? {
        if let Some(data) = section.description {
            if found.is_some() {
                return Err(DescriptionError::Twice);
            }
            let read = serde_json::from_slice(data).map_err(|error| DescriptionError::Malformed(error.to_string()))?;
            found = Some(read);
        }
    }
    Ok(found)
}

/// `component` with `description` as its last section, in place of another one.
pub fn with_description(component: &[u8], description: &Description) -> Result<Vec<u8>, DescriptionError> {
    let mut bytes = component.get(..HEADER_BYTES).ok_or(DescriptionError::NoWholeSection)?.to_vec();
    for section in sections(component)?.iter().filter(|section| section.description.is_none()) {
        bytes.extend_from_slice(section.whole);
    }
    let data = serde_json::to_vec(description).map_err(|error| DescriptionError::Malformed(error.to_string()))?;
    let mut body = Vec::with_capacity(data.len() + SECTION.len() + 5);
    write_number(&mut body, SECTION.len());
    body.extend_from_slice(SECTION.as_bytes());
    body.extend_from_slice(&data);
    bytes.push(CUSTOM);
    write_number(&mut bytes, body.len());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Magic and version.
const HEADER_BYTES: usize = 8;
/// The id of a custom section.
const CUSTOM: u8 = 0;

struct Section<'a> {
    whole: &'a [u8],
    /// What a section of our name holds.
    description: Option<&'a [u8]>,
}

/// The outermost sections: each is an id, its size, and so many bytes.
fn sections(component: &[u8]) -> Result<Vec<Section<'_>>, DescriptionError> {
    let mut rest = component.get(HEADER_BYTES..).ok_or(DescriptionError::NoWholeSection)?;
    let mut sections = Vec::new();
    while let [id, after_id @ ..] = rest {
        let mut body = after_id;
        let size = read_number(&mut body).ok_or(DescriptionError::NoWholeSection)?;
        let body = body.get(..size).ok_or(DescriptionError::NoWholeSection)?;
        let end = body.as_ptr_range().end as usize - rest.as_ptr() as usize;
        let description = (*id == CUSTOM).then(|| data_of_ours(body)).flatten();
        sections.push(Section { whole: &rest[..end], description });
        rest = &rest[end..];
    }
    Ok(sections)
}

fn data_of_ours(mut body: &[u8]) -> Option<&[u8]> {
    let length = read_number(&mut body)?;
    let name = body.get(..length)?;
    (name == SECTION.as_bytes()).then(|| &body[length..])
}

/// An unsigned LEB128 number of at most 32 bits.
fn read_number(bytes: &mut &[u8]) -> Option<usize> {
    let mut number: u64 = 0;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return u32::try_from(number).ok().map(|number| number as usize);
        }
    }
    None
}

fn write_number(bytes: &mut Vec<u8>, mut number: usize) {
    loop {
        let byte = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            return bytes.push(byte);
        }
        bytes.push(byte | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const EMPTY: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];

    fn description(summary: &str) -> Description {
        Description {
            name: "x".to_owned(),
            version: "0.1.0".to_owned(),
            summary: summary.to_owned(),
            input_schema: json!({ "type": "object" }),
            output_schema: json!(true),
            idempotent: false,
        }
    }

    #[test]
    fn what_is_written_is_read_and_written_again_in_its_place() {
        assert_eq!(description_of(&EMPTY), Ok(None));
        let long = "y".repeat(300);
        let once = with_description(&EMPTY, &description(&long)).unwrap();
        assert_eq!(description_of(&once), Ok(Some(description(&long))));
        let again = with_description(&once, &description("z")).unwrap();
        assert_eq!(description_of(&again), Ok(Some(description("z"))));
        assert_eq!(again, with_description(&EMPTY, &description("z")).unwrap());
    }

    #[test]
    fn a_component_that_is_cut_off_anywhere_has_no_description_and_says_why() {
        let whole = with_description(&EMPTY, &description("y")).unwrap();
        for length in 0..whole.len() {
            let read = description_of(&whole[..length]);
            assert!(
                read == Err(DescriptionError::NoWholeSection) || (length == 8 && read == Ok(None)),
                "{length}: {read:?}"
            );
        }
        let section = &whole[8..];
        assert_eq!(description_of(&[&whole, section].concat()), Err(DescriptionError::Twice));
    }
}
