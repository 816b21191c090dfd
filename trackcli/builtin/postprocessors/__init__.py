"""Built-in candidate links, selection and track links."""
