//! Random executions: messages lost, repeated and reordered, members that crash with part of their writes,
//! applications that are slow to consume. What is delivered is held against what every application had
//! seen when it broadcast, which knows nothing of clocks.

use crate::group::{Group, MEMBERS};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn causes_come_first_and_everything_comes_everywhere(
        choices in proptest::collection::vec(any::<u32>(), 0..600),
        window in 4_usize..12,
    ) {
        let mut group = Group::new(3, window);
        for choice in choices {
            group.random_step(choice);
        }
        group.heal();
        prop_assert_eq!(group.unsettled(), Vec::<String>::new());
        for member in 0..MEMBERS {
            prop_assert_eq!(group.kept(member), 0, "what everybody has consumed is let go");
        }
    }

    /// Vector times of all messages against the definition of happens-before.
    #[test]
    fn clocks_are_ordered_exactly_as_messages_happened(
        choices in proptest::collection::vec(any::<u32>(), 0..300),
    ) {
        let mut group = Group::new(3, 64);
        for choice in choices {
            group.random_step(choice);
        }
        group.heal();
        group.compare_clocks();
    }
}
