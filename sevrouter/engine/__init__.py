"""The loops: intake, dispatcher, watcher, janitor. They know the domain and protocols, no edge."""
