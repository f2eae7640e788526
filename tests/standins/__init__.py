"""Strict, stateful fakes of the services that we call. A test claims each effect; what nobody claimed fails it."""
