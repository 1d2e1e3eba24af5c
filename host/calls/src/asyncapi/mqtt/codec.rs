//! Packets of MQTT 3.1.1 and 5 that a client sends and gets, as bytes.
//!
//! Sources: “MQTT Version 3.1.1” and “MQTT Version 5.0” of OASIS, chapters 2 and
//! 3. Whatever the other side sends is read within the packet's own bounds.

/// Which of the two versions a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::asyncapi) enum Version {
    V3,
    V5,
}

/// What a broker sent is no packet of this protocol.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub &'static str);

/// A packet of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packet {
    /// 0: welcome. `keep_alive_seconds`: what the broker wants instead.
    Connected {
        code: u8,
        keep_alive_seconds: Option<u16>,
    },
    Publish(Publish),
    /// Of QoS 1. From 0x80 on it is a refusal.
    PubAck {
        id: u16,
        code: u8,
    },
    /// Of QoS 2: it has it.
    PubRec {
        id: u16,
        code: u8,
    },
    PubComp {
        id: u16,
    },
    SubAck {
        id: u16,
        code: u8,
    },
    Pong,
    Disconnect {
        code: u8,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Publish {
    pub again: bool,
    /// None: of QoS 0.
    pub id: Option<u16>,
    pub payload: Vec<u8>,
    pub properties: Properties,
}

/// Properties that mean something here; none in version 3.1.1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Properties {
    pub content_type: Option<String>,
    pub correlation: Option<Vec<u8>>,
    pub user: Vec<(String, String)>,
    keep_alive_seconds: Option<u16>,
}

/// Type and flags, and how many bytes follow the fixed header, whose own length comes first.
///
/// None: more must come.
pub(super) fn header(bytes: &[u8]) -> Result<Option<(usize, u8, usize)>, Malformed> {
    let Some((first, rest)) = bytes.split_first() else { return Ok(None) };
    let mut length = 0;
    for (index, byte) in rest.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((index + 2, *first, length)));
        }
    }
    if rest.len() >= 4 { Err(Malformed("its length has more than four bytes")) } else { Ok(None) }
}

/// A packet by its first byte and what follows its fixed header.
pub(super) fn packet(first: u8, body: &[u8], version: Version) -> Result<Packet, Malformed> {
    let mut read = Reader(body);
    Ok(match first >> 4 {
        2 => {
            read.u8()?;
            let code = read.u8()?;
            let properties = read.properties_if(version)?;
            Packet::Connected { code, keep_alive_seconds: properties.keep_alive_seconds }
        }
        3 => {
            let qos = (first >> 1) & 3;
            read.text()?;
            let id = match qos {
                0 => None,
                1 | 2 => Some(read.id()?),
                _ => return Err(Malformed("there is no QoS 3")),
            };
            let properties = read.properties_if(version)?;
            Packet::Publish(Publish { again: first & 8 != 0, id, payload: read.0.to_vec(), properties })
        }
        4 => Packet::PubAck { id: read.id()?, code: read.code() },
        5 => Packet::PubRec { id: read.id()?, code: read.code() },
        7 => Packet::PubComp { id: read.id()? },
        9 => {
            let id = read.id()?;
            read.properties_if(version)?;
            Packet::SubAck { id, code: read.u8()? }
        }
        13 => Packet::Pong,
        14 if version == Version::V5 => Packet::Disconnect { code: read.code() },
        _ => return Err(Malformed("a broker does not send packets of this type")),
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (found, rest) = self.0.split_at_checked(count).ok_or(Malformed("it is cut off"))?;
        self.0 = rest;
        Ok(found)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.bytes(1)?[0])
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        let bytes = self.bytes(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn id(&mut self) -> Result<u16, Malformed> {
        match self.u16()? {
            0 => Err(Malformed("it has the identifier 0")),
            id => Ok(id),
        }
    }

    /// A reason that may be left out if it is 0.
    fn code(&mut self) -> u8 {
        self.u8().unwrap_or(0)
    }

    fn binary(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u16()?;
        self.bytes(usize::from(length))
    }

    fn text(&mut self) -> Result<String, Malformed> {
        let text = std::str::from_utf8(self.binary()?).map_err(|_| Malformed("a text in it is not UTF-8"))?;
        Ok(text.to_owned())
    }

    fn variable(&mut self) -> Result<usize, Malformed> {
        let mut value = 0;
        for index in 0..4 {
            let byte = self.u8()?;
            value |= usize::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("a length in it has more than four bytes"))
    }

    fn properties_if(&mut self, version: Version) -> Result<Properties, Malformed> {
        match version {
            Version::V3 => Ok(Properties::default()),
            Version::V5 => {
                let length = self.variable()?;
                Reader(self.bytes(length)?).properties()
            }
        }
    }

    fn properties(mut self) -> Result<Properties, Malformed> {
        let mut properties = Properties::default();
        while !self.0.is_empty() {
            match self.u8()? {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => drop(self.u8()?),
                0x13 => properties.keep_alive_seconds = Some(self.u16()?),
                0x21..=0x23 => drop(self.u16()?),
                0x02 | 0x11 | 0x18 | 0x27 => drop(self.bytes(4)?),
                0x0b => drop(self.variable()?),
                0x03 => properties.content_type = Some(self.text()?),
                0x08 | 0x12 | 0x15 | 0x1a | 0x1c | 0x1f => drop(self.text()?),
                0x09 => properties.correlation = Some(self.binary()?.to_vec()),
                0x16 => drop(self.binary()?),
                0x26 => properties.user.push((self.text()?, self.text()?)),
                _ => return Err(Malformed("it has a property that nobody knows")),
            }
        }
        Ok(properties)
    }
}

/// A packet on its way out; fields come in their order.
pub(super) struct Writer {
    first: u8,
    body: Vec<u8>,
}

/// A text that is longer than the protocol can say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Writer {
    pub fn new(first: u8) -> Self {
        Self { first, body: Vec::new() }
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.body.extend_from_slice(bytes);
        self
    }

    pub fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub fn binary(self, bytes: &[u8]) -> Result<Self, TooLong> {
        let length = u16::try_from(bytes.len()).map_err(|_| TooLong)?;
        Ok(self.u16(length).bytes(bytes))
    }

    /// The properties of a packet of version 5, nothing in version 3.1.1.
    pub fn properties(self, version: Version, properties: Writer) -> Self {
        match version {
            Version::V3 => self,
            Version::V5 => {
                let body = properties.body;
                self.bytes(&variable(body.len())).bytes(&body)
            }
        }
    }

    pub fn finish(self) -> Vec<u8> {
        let mut packet = vec![self.first];
        packet.extend(variable(self.body.len()));
        packet.extend(self.body);
        packet
    }
}

/// A length in as few bytes as it needs. Bodies have a limit far below 2^28.
fn variable(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let digit = (value & 0x7f) as u8;
        value >>= 7;
        bytes.push(if value > 0 { digit | 0x80 } else { digit });
        if value == 0 {
            return bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_when_it_is_whole() {
        let cases: [(&[u8], _); 8] = [
            (&[], Ok(None)),
            (&[0x30], Ok(None)),
            (&[0x30, 0x00], Ok(Some((2, 0x30, 0)))),
            (&[0x30, 0x7f, 1], Ok(Some((2, 0x30, 127)))),
            (&[0x30, 0x80], Ok(None)),
            (&[0x30, 0x80, 0x01], Ok(Some((3, 0x30, 128)))),
            (&[0x30, 0xff, 0xff, 0xff, 0x7f], Ok(Some((5, 0x30, 268_435_455)))),
            (&[0x30, 0xff, 0xff, 0xff, 0xff], Err(Malformed("its length has more than four bytes"))),
        ];
        for (bytes, expected) in cases {
            assert_eq!(header(bytes), expected, "{bytes:?}");
        }
        for length in [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
            let packet = Writer::new(0x30).bytes(&vec![0; length]).finish();
            let (start, first, body) = header(&packet).unwrap().unwrap();
            assert_eq!((first, body, packet.len()), (0x30, length, start + length));
        }
    }

    #[test]
    fn packets_of_both_versions_are_read() {
        let publish = |bytes: &[u8], version| packet(bytes[0], &bytes[2..], version);
        let plain = Publish { again: true, id: Some(7), payload: b"hi".to_vec(), properties: Properties::default() };
        let v3 = [0x3a, 8, 0, 2, b'a', b'b', 0, 7, b'h', b'i'];
        assert_eq!(publish(&v3, Version::V3), Ok(Packet::Publish(plain.clone())));
        let properties = Writer::new(0)
            .bytes(&[0x03])
            .binary(b"text/plain")
            .unwrap()
            .bytes(&[0x09, 0, 1, b'c', 0x26])
            .binary(b"k")
            .and_then(|writer| writer.binary(b"v"))
            .unwrap();
        let body = Writer::new(0x3a).binary(b"ab").unwrap().u16(7).properties(Version::V5, properties).bytes(b"hi");
        let expected = Properties {
            content_type: Some("text/plain".to_owned()),
            correlation: Some(b"c".to_vec()),
            user: vec![("k".to_owned(), "v".to_owned())],
            keep_alive_seconds: None,
        };
        assert_eq!(
            packet(0x3a, &body.body, Version::V5),
            Ok(Packet::Publish(Publish { properties: expected, ..plain }))
        );
        assert_eq!(packet(0x20, &[0, 5], Version::V3), Ok(Packet::Connected { code: 5, keep_alive_seconds: None }));
        let slower = packet(0x20, &[0, 0, 3, 0x13, 0, 9], Version::V5);
        assert_eq!(slower, Ok(Packet::Connected { code: 0, keep_alive_seconds: Some(9) }));
        assert_eq!(packet(0x40, &[0, 1], Version::V5), Ok(Packet::PubAck { id: 1, code: 0 }));
        assert_eq!(packet(0x40, &[0, 1, 0x87, 0], Version::V5), Ok(Packet::PubAck { id: 1, code: 0x87 }));
        assert_eq!(packet(0x90, &[0, 1, 0x80], Version::V3), Ok(Packet::SubAck { id: 1, code: 0x80 }));
    }

    #[test]
    fn no_bytes_of_a_broker_make_it_panic_or_read_beyond_a_packet() {
        // A small generator: the same bytes each time.
        let mut state = 0x9e37_79b9_u32;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state
        };
        for _ in 0..200_000 {
            let length = next() as usize % 24;
            let bytes: Vec<u8> =
                (0..length).map(|_| (next() & 0xff) as u8 & if next() % 2 == 0 { 0x0f } else { 0xff }).collect();
            let first = (next() & 0xff) as u8;
            for version in [Version::V3, Version::V5] {
                if let Ok(Packet::Publish(publish)) = packet(first, &bytes, version) {
                    assert!(publish.payload.len() <= bytes.len());
                }
            }
            let _ = header(&bytes);
        }
    }
}
