use super::*;
use proptest::prelude::*;

const WINDOW: i64 = 30_000_000;

fn at(presented: u32, stored: u32, rotated_at: Option<i64>, now: i64) -> Rotation {
    Rotation { presented, stored, rotated_at, now, reuse_interval: WINDOW, waited: false }
}

/// A session's row, and the refresh that the store runs on it.
struct Row {
    generation: u32,
    rotated_at: Option<i64>,
    revoked: bool,
    steps: u32,
}

impl Row {
    fn new(generation: u32) -> Self {
        Self { generation, rotated_at: None, revoked: false, steps: 0 }
    }

    /// `now` was read before the lock; `locked_at` is when the row was ours.
    fn refresh(&mut self, presented: u32, now: i64, locked_at: i64) -> Decision {
        let decision = decide(&at(presented, self.generation, self.rotated_at, now));
        match decision {
            Decision::Rotate { next } => {
                self.generation = next;
                self.rotated_at = Some(locked_at);
                self.steps += 1;
            }
            Decision::Reused => self.revoked = true,
            Decision::Repeat | Decision::Exhausted => {}
        }
        decision
    }
}

#[test]
fn the_previous_token_repeats_within_the_interval() {
    assert_eq!(decide(&at(0, 1, Some(100), 100 + WINDOW - 1)), Decision::Repeat);
}

#[test]
fn the_previous_token_is_reuse_when_the_interval_is_over() {
    assert_eq!(decide(&at(0, 1, Some(100), 100 + WINDOW)), Decision::Reused);
}

#[test]
fn a_caller_that_waited_for_the_rotation_is_not_late() {
    let late = Rotation { waited: true, ..at(0, 1, Some(100), 100 + 10 * WINDOW) };
    assert_eq!(decide(&late), Decision::Repeat);
    let off = Rotation { reuse_interval: 0, ..late };
    assert_eq!(decide(&off), Decision::Reused);
}

#[test]
fn the_last_generation_cannot_rotate() {
    for presented in [MAX_GENERATION, MAX_GENERATION + 1, u32::MAX] {
        assert_eq!(decide(&at(presented, 0, None, 0)), Decision::Exhausted);
    }
    let last = MAX_GENERATION - 1;
    assert_eq!(decide(&at(last, last, None, 0)), Decision::Rotate { next: MAX_GENERATION });
}

proptest! {
    #[test]
    fn current_or_ahead_rotates_just_beyond_the_presented(
        stored in 0..MAX_GENERATION, ahead in 0u32..1000, rotated_at: Option<i64>, now: i64,
        reuse_interval: i64, waited: bool,
    ) {
        let presented = stored.saturating_add(ahead).min(MAX_GENERATION - 1);
        let r = Rotation { presented, stored, rotated_at, now, reuse_interval, waited };
        prop_assert_eq!(decide(&r), Decision::Rotate { next: presented + 1 });
    }

    #[test]
    fn older_than_the_previous_is_always_reuse(
        presented in 0u32..=u32::MAX - 2, behind in 2u32.., rotated_at: Option<i64>, now: i64,
        reuse_interval: i64, waited: bool,
    ) {
        let stored = presented.saturating_add(behind).max(presented + 2);
        let r = Rotation { presented, stored, rotated_at, now, reuse_interval, waited };
        prop_assert_eq!(decide(&r), Decision::Reused);
    }

    #[test]
    fn the_previous_repeats_exactly_inside_the_interval(
        presented in 0..u32::MAX, rotated_at: Option<i64>, now: i64, reuse_interval: i64,
    ) {
        let r = Rotation { presented, stored: presented + 1, rotated_at, now, reuse_interval, waited: false };
        let inside = rotated_at.is_some_and(|at| {
            (i128::from(now) - i128::from(at)).abs() < i128::from(reuse_interval)
        });
        let expected = if inside { Decision::Repeat } else { Decision::Reused };
        prop_assert_eq!(decide(&r), expected);
    }

    #[test]
    fn parallel_callers_of_one_generation_make_exactly_one_step(
        generation in 0u32..1_000_000,
        // (clock read, wait for the lock): the order of the vector is the order of the lock.
        callers in prop::collection::vec((0..WINDOW / 2, 0..WINDOW / 2), 1..40),
    ) {
        let mut row = Row::new(generation);
        let mut answers = Vec::new();
        for (now, wait) in callers {
            row.refresh(generation, now, now + wait);
            answers.push(row.generation);
        }
        prop_assert_eq!(row.steps, 1);
        prop_assert!(!row.revoked);
        prop_assert!(answers.iter().all(|g| *g == generation + 1));
    }

    #[test]
    fn a_thief_with_an_older_token_never_gets_one(
        steps in 2u32..50, stolen in 0u32..50, now: i64,
    ) {
        let stolen = stolen % (steps - 1);
        let mut row = Row::new(0);
        for generation in 0..steps {
            let time = i64::from(generation);
            row.refresh(generation, time, time);
        }
        prop_assert_eq!(row.refresh(stolen, now, now), Decision::Reused);
        prop_assert!(row.revoked);
    }

    #[test]
    fn a_lost_step_is_made_up_for(
        generation in 0u32..1_000_000, lost in 1u32..10, now in 0i64..WINDOW,
    ) {
        let mut row = Row::new(generation);
        let ahead = generation + lost;
        prop_assert_eq!(row.refresh(ahead, now, now), Decision::Rotate { next: ahead + 1 });
        prop_assert_eq!(row.refresh(ahead, now, now), Decision::Repeat);
        prop_assert!(!row.revoked);
    }
}
