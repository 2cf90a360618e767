//! One bit per state: which of them satisfy a predicate.

/// A list of bits that only grows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    pub(crate) fn push(&mut self, bit: bool) {
        let at = self.len % 64;
        if at == 0 {
            self.words.push(0);
        }
        if let Some(last) = self.words.last_mut() {
            *last |= u64::from(bit) << at;
        }
        self.len += 1;
    }

    pub(crate) fn get(&self, state: u32) -> bool {
        let state = state as usize;
        self.words[state / 64] >> (state % 64) & 1 == 1
    }

    pub(crate) fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::Bits;

    #[test]
    fn a_bit_is_read_as_it_was_pushed() {
        let mut bits = Bits::default();
        (0..200).for_each(|i| bits.push(i % 3 == 0));
        assert!((0..200).all(|i| bits.get(i) == (i % 3 == 0)));
    }
}
