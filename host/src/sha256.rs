//! SHA-256, as FIPS 180-4 defines it.
//!
//! The crate `sha2` would add eight crates to the core, which has at most 40. It is only used to inspect plugin libraries,
//! and by the tests of this file.

use std::fmt::Write;

/// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
const ROUNDS: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];

/// The first 32 bits of the fractional parts of the square roots of the first 8 primes.
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

const BLOCK: usize = 64;

/// Returns the SHA-256 of `bytes` as 64 lowercase hexadecimal digits.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let state = blocks.iter().fold(START, compress);
    let state = padded(rest, bytes.len()).as_chunks::<BLOCK>().0.iter().fold(state, compress);
    state.iter().fold(String::with_capacity(64), |mut hex, word| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{word:08x}");
        hex
    })
}

/// Returns the `rest` of a message of `length` bytes, padded to whole blocks.
fn padded(rest: &[u8], length: usize) -> Vec<u8> {
    let mut last = rest.to_vec();
    last.push(0x80);
    // The length in bits takes the last eight bytes of a block.
    last.resize((last.len() + 8).next_multiple_of(BLOCK) - 8, 0);
    last.extend((length as u64).wrapping_mul(8).to_be_bytes());
    last
}

fn compress(state: [u32; 8], block: &[u8; BLOCK]) -> [u32; 8] {
    let words = schedule(block);
    let mixed = words.iter().zip(ROUNDS).fold(state, |[a, b, c, d, e, f, g, h], (word, round)| {
        let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let choice = (e & f) ^ (!e & g);
        let t1 = h.wrapping_add(s1).wrapping_add(choice).wrapping_add(round).wrapping_add(*word);
        let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let majority = (a & b) ^ (a & c) ^ (b & c);
        [t1.wrapping_add(s0.wrapping_add(majority)), a, b, c, d.wrapping_add(t1), e, f, g]
    });
    std::array::from_fn(|place| state[place].wrapping_add(mixed[place]))
}

/// Returns the words that the rounds mix in: those of `block`, and 48 that are derived from them.
fn schedule(block: &[u8; BLOCK]) -> [u32; 64] {
    let mut words = [0; 64];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    for place in 16..64 {
        let (early, late) = (words[place - 15], words[place - 2]);
        let s0 = early.rotate_right(7) ^ early.rotate_right(18) ^ (early >> 3);
        let s1 = late.rotate_right(17) ^ late.rotate_right(19) ^ (late >> 10);
        words[place] =
            u32::wrapping_add(words[place - 16], s0).wrapping_add(words[place - 7]).wrapping_add(s1);
    }
    words
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// The examples of FIPS 180-4, and the empty message.
    #[test]
    fn published_examples_have_their_digests() {
        for (message, digest) in [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
        ] {
            assert_eq!(sha256_hex(message.as_bytes()), digest, "{message:?}");
        }
    }

    /// Padding depends on the length, so that each length of the first five blocks is tried.
    #[test]
    fn digests_equal_those_of_the_crate_sha2() {
        let bytes: Vec<u8> = (0..5 * BLOCK).map(|place| (place * 7 % 251) as u8).collect();
        for length in 0..=bytes.len() {
            let message = &bytes[..length];
            let expected: String = Sha256::digest(message).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(sha256_hex(message), expected, "{length} bytes");
        }
    }
}
