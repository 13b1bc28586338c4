use super::*;

#[test]
fn a_value_is_good_under_its_own_epoch_only() {
    let mut remembered = Remembered::default();
    remembered.insert("a", 1, 7);
    assert_eq!(remembered.find(&"a", 7), Some(1));
    assert_eq!(remembered.find(&"a", 8), None);
    remembered.insert("b", 2, 8);
    assert_eq!(remembered.find(&"a", 8), None);
    assert_eq!(remembered.find(&"b", 8), Some(2));
}

#[test]
fn it_holds_a_bounded_number() {
    let mut remembered = Remembered::default();
    for n in 0..=Remembered::<usize, ()>::MOST {
        remembered.insert(n, (), 1);
    }
    assert_eq!(remembered.values.len(), 1);
}
