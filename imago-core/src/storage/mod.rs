//! Where images lie: URLs, the stores behind them, and the local cache. It moves bytes and knows no picture.
