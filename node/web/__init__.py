"""The operators' console: pages on the services, in Chinese and English, readable without JavaScript."""
