SELECT valid, data FROM bench.noop(:token);
