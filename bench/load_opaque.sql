-- The account and client sessions of one row of `opaque`; :chunk is its number.
INSERT INTO bench.opaque
SELECT :chunk, a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8]
FROM (SELECT array_agg(client_secret) AS a, array_agg(token) AS c
        FROM generate_series(1, 8) AS i,
             LATERAL dialstack.account_session_create('acct_' || :chunk || i, product => 'bench', env => 'production',
                                                      expires_in => '1 day'),
             LATERAL dialstack.client_session_create('key_' || :chunk || '_' || i, product => 'bench',
                                                     env => 'production')) AS made;
