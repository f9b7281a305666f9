//! What the output says about each word, judged record by record.

use std::collections::{BTreeMap, HashMap};

#[derive(Default)]
pub(crate) struct Counts {
    /// The partition and the last count of each word.
    words: HashMap<String, (i32, u64)>,
    pub(crate) records: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, partition: i32, word: &str, count: u64) -> Result<(), String> {
        self.records += 1;
        let known = self.words.insert(word.to_owned(), (partition, count));
        let (before, last) = known.unwrap_or((partition, 0));
        if before != partition {
            return Err(format!("{word} in partitions {before} and {partition}"));
        }
        if count != last + 1 {
            return Err(format!("{word} counted {count} after {last}"));
        }
        Ok(())
    }

    pub(crate) fn last(&self) -> BTreeMap<String, u64> {
        let words = self.words.iter();
        words
            .map(|(word, (_, count))| (word.clone(), *count))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(records: &[(i32, &str, u64)]) -> Result<BTreeMap<String, u64>, String> {
        let mut counts = Counts::default();
        for (partition, word, count) in records {
            counts.add(*partition, word, *count)?;
        }
        Ok(counts.last())
    }

    #[test]
    fn counts_follow_each_other() {
        let good = [(0, "a", 1), (1, "b", 1), (0, "a", 2), (1, "c", 1)];
        let last = [("a", 2), ("b", 1), ("c", 1)].map(|(word, n)| (word.to_owned(), n));
        assert_eq!(judge(&good), Ok(last.into()));
        for (second, why) in [
            ((0, "a", 1), "a counted 1 after 1"),
            ((0, "a", 3), "a counted 3 after 1"),
            ((0, "b", 2), "b counted 2 after 0"),
            ((1, "a", 2), "a in partitions 0 and 1"),
        ] {
            assert_eq!(judge(&[(0, "a", 1), second]), Err(why.to_owned()));
        }
    }
}
