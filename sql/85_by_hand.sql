-- What an administrator does to sessions by hand, in psql, counts in the activity as it does by
-- function. Our own statements note what they do themselves: all that they pay for this is the condition,
-- which is as short as can be, because the server parses it anew at every statement.
CREATE TRIGGER note_by_hand AFTER UPDATE ON dialstack.sessions
    FOR EACH ROW WHEN (dialstack.by_hand()) EXECUTE FUNCTION dialstack.note_by_hand();
ALTER TABLE dialstack.sessions ENABLE ALWAYS TRIGGER note_by_hand;
