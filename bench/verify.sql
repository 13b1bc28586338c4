SELECT valid, data FROM dialstack.session_verify(:token);
