SELECT valid, identifier FROM dialstack.session_verify(:client);
