// Starts the emulated Bot API on the given port of loopback.
const TelegramServer = require('telegram-test-api');

new TelegramServer({ host: '127.0.0.1', port: Number(process.argv[2]), storeTimeout: 600 })
  .start()
  .then(() => console.log('ready'));
