"""Where Stripe and those who paid reach the HTTP app. Apart, as Stripe's SDK takes a while to import."""

WEBHOOK_PATH = "/stripe/webhook"
PAID_PATH = "/stripe/paid"
CANCELLED_PATH = "/stripe/cancelled"
